// The camera of an ESP32 board.
#ifndef MICRONET_CAMERA_H_
#define MICRONET_CAMERA_H_

#include "image.h"

namespace micronet {

// When it fails, CameraCapture gives no picture.
void CameraInit();

bool CameraCapture(Image *image);

}  // namespace micronet

#endif  // MICRONET_CAMERA_H_
