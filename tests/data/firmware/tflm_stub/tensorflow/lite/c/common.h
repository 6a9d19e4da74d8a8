// A stub: the part of TensorFlow Lite Micro's C types that this project uses. It serves to check the
// syntax of sources that include TFLM's headers, and to talk to the pinned tflite_micro wheel,
// whose types lie in tflite::micro (define TFLM_STUB_NEW_NAMES for that). No firmware is built with it.
#ifndef TFLM_STUB_C_COMMON_H_
#define TFLM_STUB_C_COMMON_H_

#include <cstddef>
#include <cstdint>

#ifdef TFLM_STUB_NEW_NAMES
namespace tflite {
namespace micro {
#endif

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteFloat32 = 1, kTfLiteInt32 = 2, kTfLiteInt8 = 9 };

enum TfLitePadding { kTfLitePaddingUnknown = 0, kTfLitePaddingSame, kTfLitePaddingValid };
enum TfLiteFusedActivation {
  kTfLiteActNone = 0,
  kTfLiteActRelu,
  kTfLiteActReluN1To1,
  kTfLiteActRelu6
};

struct TfLiteIntArray {
  int size;
  int data[];
};

struct TfLiteFloatArray {
  int size;
  float data[];
};

struct TfLiteQuantizationParams {
  float scale;
  int32_t zero_point;
};

enum TfLiteQuantizationType { kTfLiteNoQuantization = 0, kTfLiteAffineQuantization = 1 };

struct TfLiteQuantization {
  TfLiteQuantizationType type;
  void *params;
};

struct TfLiteAffineQuantization {
  TfLiteFloatArray *scale;
  TfLiteIntArray *zero_point;
  int32_t quantized_dimension;
};

union TfLitePtrUnion {
  int32_t *i32;
  int8_t *int8;
  char *raw;
  void *data;
};

struct TfLiteTensor {
  TfLiteQuantization quantization;
  TfLiteQuantizationParams params;
  TfLitePtrUnion data;
  TfLiteIntArray *dims;
  size_t bytes;
  TfLiteType type;
  int allocation_type;
  bool is_variable;
};

struct TfLiteEvalTensor {
  TfLitePtrUnion data;
  TfLiteIntArray *dims;
  TfLiteType type;
};

struct TfLiteNode {
  TfLiteIntArray *inputs;
  TfLiteIntArray *outputs;
  TfLiteIntArray *intermediates;
  void *user_data;
  void *builtin_data;
  const void *custom_initial_data;
  int custom_initial_data_size;
};

struct TfLiteContext;

#ifdef TFLM_STUB_NEW_NAMES
}  // namespace micro
}  // namespace tflite
#endif

#endif  // TFLM_STUB_C_COMMON_H_
