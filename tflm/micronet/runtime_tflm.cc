// The firmware's model, run by TensorFlow Lite Micro.
#include "micronet_runner.h"
#include "model_data.h"

namespace micronet {

Runtime& TheRuntime() {
  alignas(16) static uint8_t arena[MODEL_ARENA_SIZE];
  static MicroNetRunner runner(kModelInfo, model_data, arena, sizeof(arena));
  return runner;
}

}  // namespace micronet
