// A stub (see c/common.h): the interpreter's methods that the runner calls.
#ifndef TFLM_STUB_INTERPRETER_H_
#define TFLM_STUB_INTERPRETER_H_

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

#define TFLITE_SCHEMA_VERSION (3)

namespace tflite {

class MicroInterpreter {
 public:
  MicroInterpreter(const Model *model, const MicroOpResolver &resolver, uint8_t *arena,
                   size_t size);
  ~MicroInterpreter();
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor *input(size_t index);
  TfLiteTensor *output(size_t index);
  size_t outputs_size() const;
  size_t arena_used_bytes() const;
  template <class T>
  T *typed_input_tensor(int) {
    return nullptr;
  }
  template <class T>
  T *typed_output_tensor(int) {
    return nullptr;
  }
};

}  // namespace tflite

#endif  // TFLM_STUB_INTERPRETER_H_
