// A stub (see c/common.h): what kernels of TFLM use.
#ifndef TFLM_STUB_KERNEL_UTIL_H_
#define TFLM_STUB_KERNEL_UTIL_H_

#include "tensorflow/lite/c/common.h"

#ifdef TFLM_STUB_NEW_NAMES
#define TFLM_STUB_BEGIN \
  namespace tflite {    \
  namespace micro {
#define TFLM_STUB_END \
  }                   \
  }
#else
#define TFLM_STUB_BEGIN
#define TFLM_STUB_END
#endif

TFLM_STUB_BEGIN
struct TFLMRegistration {
  void *(*init)(TfLiteContext *context, const char *buffer, size_t length);
  void (*free)(TfLiteContext *context, void *buffer);
  TfLiteStatus (*prepare)(TfLiteContext *context, TfLiteNode *node);
  TfLiteStatus (*invoke)(TfLiteContext *context, TfLiteNode *node);
  void (*reset)(TfLiteContext *context, void *buffer);
  int32_t builtin_code;
  const char *custom_name;
};
TFLM_STUB_END

namespace tflite {
namespace micro {

TFLMRegistration RegisterOp(void *(*init)(TfLiteContext *context, const char *buffer,
                                          size_t length),
                            TfLiteStatus (*prepare)(TfLiteContext *context, TfLiteNode *node),
                            TfLiteStatus (*invoke)(TfLiteContext *context, TfLiteNode *node),
                            void (*free)(TfLiteContext *context, void *buffer) = nullptr,
                            void (*reset)(TfLiteContext *context, void *buffer) = nullptr);

const TfLiteEvalTensor *GetEvalInput(const TfLiteContext *context, const TfLiteNode *node,
                                     int index);
TfLiteEvalTensor *GetEvalOutput(const TfLiteContext *context, const TfLiteNode *node, int index);

template <typename T>
T *GetTensorData(TfLiteEvalTensor *tensor) {
  return reinterpret_cast<T *>(tensor->data.raw);
}

template <typename T>
const T *GetTensorData(const TfLiteEvalTensor *tensor) {
  return reinterpret_cast<const T *>(tensor->data.raw);
}

}  // namespace micro
}  // namespace tflite

#endif  // TFLM_STUB_KERNEL_UTIL_H_
