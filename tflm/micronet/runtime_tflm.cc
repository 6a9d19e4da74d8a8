// The firmware's model, run by TensorFlow Lite Micro.
#include <new>

#include "micronet_runner.h"
#include "model_data.h"

// Where the arena lies, for boards that have more than one kind of RAM.
#ifndef MICRONET_ARENA_ATTRIBUTE
#define MICRONET_ARENA_ATTRIBUTE
#endif

namespace micronet {
namespace {

alignas(16) MICRONET_ARENA_ATTRIBUTE uint8_t arena[MODEL_ARENA_SIZE];

}  // namespace

Runtime &TheRuntime() {
  // Made in place and never destroyed: a static object's destructor would drag in atexit.
  alignas(MicroNetRunner) static uint8_t place[sizeof(MicroNetRunner)];
  static MicroNetRunner *const runner =
      new (place) MicroNetRunner(kModelInfo, model_data, arena, sizeof(arena));
  return *runner;
}

}  // namespace micronet
