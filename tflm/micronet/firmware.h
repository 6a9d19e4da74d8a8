// The application: a model behind a serial line. Each platform's main calls these two.
#ifndef MICRONET_FIRMWARE_H_
#define MICRONET_FIRMWARE_H_

namespace micronet {

// Once: the board, then the model.
void FirmwareStart();

// Again and again: answers what has arrived. Returns when nothing is waiting.
void FirmwarePoll();

}  // namespace micronet

#endif  // MICRONET_FIRMWARE_H_
