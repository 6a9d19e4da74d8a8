// A model on TensorFlow Lite Micro.
#ifndef MICRONET_MICRONET_RUNNER_H_
#define MICRONET_MICRONET_RUNNER_H_

#include "runtime.h"
#include "op_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace micronet {

// Wraps tflite::MicroInterpreter. No heap: the interpreter lives in this object, its tensors in the
// arena that the caller gives (aligned to 16 bytes). Everything given must outlive the runner.
class MicroNetRunner final : public Runtime {
 public:
  // `flatbuffer`: aligned to 16 bytes, as the generated array is.
  MicroNetRunner(const ModelInfo &info, const uint8_t *flatbuffer, uint8_t *arena,
                 size_t arena_bytes);
  MicroNetRunner(const MicroNetRunner &) = delete;
  MicroNetRunner &operator=(const MicroNetRunner &) = delete;

  Status Init() override;
  int8_t *input() override { return input_; }
  Status Invoke() override;
  // nullptr before Init, and when there is no such output.
  const int8_t *output(int index) const override;
  int32_t arena_used() const override;

 private:
  Status CheckModel();
  Status CheckArena() const;
  Status CheckEnds();

  const ModelInfo &info_;
  const tflite::Model *model_;
  uint8_t *arena_;
  size_t arena_bytes_;
  OpResolver resolver_;
  bool ops_registered_;
  int8_t *input_ = nullptr;
  tflite::MicroInterpreter *interpreter_ = nullptr;
  // Where the interpreter is made: it cannot be a plain member, since it takes hold of the arena
  // when it is constructed, before anything has been checked.
  alignas(tflite::MicroInterpreter) uint8_t place_[sizeof(tflite::MicroInterpreter)];
};

}  // namespace micronet

#endif  // MICRONET_MICRONET_RUNNER_H_
