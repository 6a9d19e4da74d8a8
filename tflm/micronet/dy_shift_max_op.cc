// MicroNetDYShiftMax for TensorFlow Lite Micro.
#include "dy_shift_max_op.h"

#include <cstdint>
#include <cstring>

#include "micronet_kernels.h"

namespace micronet {
namespace {

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "custom_options are little-endian and read in place"
#endif

// `char` is unsigned on Arm and signed on x86; only types with a stated sign here.
struct Options {
  uint8_t version;
  uint8_t branches;
  uint8_t permuted;
  uint8_t zero;
  uint16_t channels;
  int8_t input_zero_point;
  int8_t output_zero_point;
  int32_t multiplier[4];
  int32_t zero_point[4];
};
static_assert(sizeof(Options) == 40, "no padding: the layout is that of the file");

constexpr int kVersion = 1;

const Options* OptionsOf(const TfLiteNode* node) {
  return static_cast<const Options*>(node->custom_initial_data);
}

const uint16_t* Tables(const Options* options) {
  return reinterpret_cast<const uint16_t*>(options + 1);
}

TfLiteStatus Refuse(const char* what, int found, int expected) {
  MicroPrintf("%s: %s is %d, not %d", kDYShiftMaxName, what, found, expected);
  return kTfLiteError;
}

TfLiteStatus CheckOptions(const TfLiteNode* node) {
  const Options* options = OptionsOf(node);
  const int size = node->custom_initial_data_size;
  if (options == nullptr || size < static_cast<int>(sizeof(Options))) {
    return Refuse("size of custom_options", size, sizeof(Options));
  }
  if (reinterpret_cast<uintptr_t>(options) % alignof(Options) != 0) {
    return Refuse("alignment of custom_options", 1, alignof(Options));
  }
  if (options->version != kVersion) return Refuse("version", options->version, kVersion);
  if (options->branches != 1 && options->branches != 2) {
    return Refuse("number of branches", options->branches, 2);
  }
  const int channels = options->channels;
  const int tables = options->permuted ? 2 : 1;
  const int expected = static_cast<int>(sizeof(Options)) + tables * channels * 2;
  if (channels == 0 || channels > INT16_MAX) return Refuse("number of channels", channels, 1);
  if (size != expected) return Refuse("size of custom_options", size, expected);
  for (int i = 0; i < tables * channels; ++i) {
    if (Tables(options)[i] >= channels) return Refuse("a channel index", Tables(options)[i], 0);
  }
  return kTfLiteOk;
}

int ElementCount(const TfLiteEvalTensor* tensor) {
  int count = 1;
  for (int i = 0; i < tensor->dims->size; ++i) count *= tensor->dims->data[i];
  return count;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  if (CheckOptions(node) != kTfLiteOk) return kTfLiteError;
  const Options* options = OptionsOf(node);
  const int inputs = 1 + 2 * options->branches;
  if (node->inputs->size != inputs) return Refuse("number of inputs", node->inputs->size, inputs);
  if (node->outputs->size != 1) return Refuse("number of outputs", node->outputs->size, 1);
  const TfLiteEvalTensor* x = GetEvalInput(context, node, 0);
  const TfLiteEvalTensor* output = GetEvalOutput(context, node, 0);
  const int size = ElementCount(x);
  if (x->type != kTfLiteInt8) return Refuse("type of the input", x->type, kTfLiteInt8);
  if (output->type != kTfLiteInt8) return Refuse("type of the output", output->type, kTfLiteInt8);
  if (size % options->channels != 0) return Refuse("size of the input", size, options->channels);
  if (ElementCount(output) != size) return Refuse("size of the output", ElementCount(output), size);
  for (int i = 1; i < inputs; ++i) {
    const TfLiteEvalTensor* coefficient = GetEvalInput(context, node, i);
    if (coefficient->type != kTfLiteInt8) {
      return Refuse("type of a coefficient", coefficient->type, kTfLiteInt8);
    }
    if (ElementCount(coefficient) != options->channels) {
      return Refuse("number of coefficients", ElementCount(coefficient), options->channels);
    }
  }
  return kTfLiteOk;
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  const Options* options = OptionsOf(node);
  const TfLiteEvalTensor* x = GetEvalInput(context, node, 0);
  TfLiteEvalTensor* output = GetEvalOutput(context, node, 0);

  micronet_dyshiftmax_params params = {};
  params.pixels = ElementCount(x) / options->channels;
  params.channels = static_cast<int16_t>(options->channels);
  params.branches = options->branches;
  params.input_zero_point = options->input_zero_point;
  params.output_zero_point = options->output_zero_point;
  params.shift = Tables(options);
  params.source = options->permuted ? Tables(options) + options->channels : nullptr;
  const int8_t* coefficients[4] = {};
  for (int i = 0; i < 2 * options->branches; ++i) {
    params.coefficient[i].multiplier = options->multiplier[i];
    params.coefficient[i].zero_point = options->zero_point[i];
    coefficients[i] = GetTensorData<int8_t>(GetEvalInput(context, node, i + 1));
  }
  // The memory planner gives input and output memory of their own, so no scratch is needed.
  micronet_dyshiftmax(&params, GetTensorData<int8_t>(x), coefficients,
                      GetTensorData<int8_t>(output), nullptr, 0);
  return kTfLiteOk;
}

}  // namespace

Registration RegisterDYShiftMax() { return RegisterOp(nullptr, Prepare, Invoke); }

}  // namespace micronet
