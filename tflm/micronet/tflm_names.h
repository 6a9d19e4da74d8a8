// TensorFlow Lite Micro's C types, wherever the version at hand keeps them.
#ifndef MICRONET_TFLM_NAMES_H_
#define MICRONET_TFLM_NAMES_H_

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_log.h"

namespace tflite {
namespace micro {}
}  // namespace tflite

namespace micronet {

// Older versions have TfLiteContext and the others in the global namespace, newer ones in
// tflite::micro. Both are found like this.
using namespace ::tflite::micro;

// Called TfLiteRegistration, TfLiteRegistration_V1 or TFLMRegistration.
using Registration = decltype(::tflite::micro::RegisterOp(nullptr, nullptr, nullptr));

}  // namespace micronet

#endif  // MICRONET_TFLM_NAMES_H_
