// A stub (see c/common.h): the resolver and the operators that generated headers may add.
#ifndef TFLM_STUB_OP_RESOLVER_H_
#define TFLM_STUB_OP_RESOLVER_H_

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace tflite {

#ifdef TFLM_STUB_NEW_NAMES
using namespace micro;
#endif

class MicroOpResolver {
 public:
  virtual const TFLMRegistration *FindOp(BuiltinOperator op) const = 0;
  virtual const TFLMRegistration *FindOp(const char *name) const = 0;

 protected:
  ~MicroOpResolver() = default;
};

template <unsigned int tOpCount>
class MicroMutableOpResolver final : public MicroOpResolver {
 public:
  const TFLMRegistration *FindOp(BuiltinOperator) const override { return nullptr; }
  const TFLMRegistration *FindOp(const char *) const override { return nullptr; }
  TfLiteStatus AddCustom(const char *, const TFLMRegistration *) { return kTfLiteOk; }
  TfLiteStatus AddAdd() { return kTfLiteOk; }
  TfLiteStatus AddAveragePool2D() { return kTfLiteOk; }
  TfLiteStatus AddConcatenation() { return kTfLiteOk; }
  TfLiteStatus AddConv2D() { return kTfLiteOk; }
  TfLiteStatus AddDepthwiseConv2D() { return kTfLiteOk; }
  TfLiteStatus AddFullyConnected() { return kTfLiteOk; }
  TfLiteStatus AddGather() { return kTfLiteOk; }
  TfLiteStatus AddHardSwish() { return kTfLiteOk; }
  TfLiteStatus AddMaximum() { return kTfLiteOk; }
  TfLiteStatus AddMul() { return kTfLiteOk; }
  TfLiteStatus AddReshape() { return kTfLiteOk; }
  TfLiteStatus AddSplit() { return kTfLiteOk; }
};

}  // namespace tflite

#endif  // TFLM_STUB_OP_RESOLVER_H_
