// What runs the model on a board: TensorFlow Lite Micro, or the model compiled to C.
#ifndef MICRONET_RUNTIME_H_
#define MICRONET_RUNTIME_H_

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace micronet {

// What firmware knows of its model; generated into model_info.cc.
struct ModelInfo {
  const char *name;
  int height, width, channels;  // of the input, int8 = pixel - 128
  int classes;                  // of scores, or kinds of points
  int outputs;                  // how many tensors the model gives
  const int32_t *output_sizes;  // values of each
  int32_t arena_bytes;          // as measured when the model was exported
  const char *const *labels;    // `classes` of them, or nullptr
  const int8_t *test_input;     // one image ...
  const int8_t *test_output;    // ... and what the model's first output answers to it

  int32_t input_bytes() const { return height * width * channels; }
};

extern const ModelInfo kModelInfo;

// Runs a model. Init once; then fill input(), Invoke(), read output().
class Runtime {
 public:
  virtual Status Init() = 0;
  // int8 [height, width, channels]. Invoke may destroy it.
  virtual int8_t *input() = 0;
  virtual Status Invoke() = 0;
  // int8 [output_sizes[index]], valid until the next use of input().
  virtual const int8_t *output(int index) const = 0;
  // Bytes of SRAM in use for tensors and what the runtime keeps beside them; 0 before Init.
  virtual int32_t arena_used() const = 0;

 protected:
  ~Runtime() = default;  // never deleted through this class
};

// The runtime that the firmware is linked with: runtime_tflm.cc or runtime_c.cc.
Runtime &TheRuntime();

}  // namespace micronet

#endif  // MICRONET_RUNTIME_H_
