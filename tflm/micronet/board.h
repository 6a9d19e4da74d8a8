// What the firmware needs of a board. Every platform template implements these five functions.
#ifndef MICRONET_BOARD_H_
#define MICRONET_BOARD_H_

#include <cstddef>
#include <cstdint>

#include "image.h"

namespace micronet {

// Prepares the serial line and, if there is one, the camera.
void BoardInit();

// The next byte from the serial line, or -1 when none is waiting. Never blocks.
int BoardRead();

// Sends all of it.
void BoardWrite(const char *text, size_t length);

// A clock that runs on, in microseconds; it wraps after 71 minutes.
uint32_t BoardMicros();

// Takes a picture. Returns false when there is no camera or it failed. The picture is valid until
// the next call.
bool BoardCapture(Image *image);

}  // namespace micronet

#endif  // MICRONET_BOARD_H_
