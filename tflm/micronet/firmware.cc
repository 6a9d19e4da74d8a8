// The loop that all platforms share.
#include "firmware.h"

#include "board.h"
#include "runtime.h"
#include "model_data.h"
#include "protocol.h"

namespace micronet {
namespace {

int8_t image[MODEL_INPUT_SIZE];

Protocol &TheProtocol() {
  static Protocol protocol(kModelInfo, TheRuntime(), image);
  return protocol;
}

}  // namespace

void FirmwareStart() {
  BoardInit();
  TheProtocol().Start();
}

void FirmwarePoll() {
  Protocol &protocol = TheProtocol();
  for (int byte = BoardRead(); byte >= 0; byte = BoardRead()) {
    protocol.Feed(static_cast<uint8_t>(byte));
  }
  protocol.Idle();
}

}  // namespace micronet
