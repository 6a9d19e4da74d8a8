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

using Shape = micronet_dyshiftmax_shape;

// The kernel's numbers, read in place; behind them `shift` and, if the output is permuted, `source`.
const Shape *ShapeOf(const TfLiteNode *node) {
  return static_cast<const Shape *>(node->custom_initial_data);
}

const uint16_t *Tables(const Shape *shape) { return reinterpret_cast<const uint16_t *>(shape + 1); }

int TableBytes(const TfLiteNode *node) {
  return node->custom_initial_data_size - static_cast<int>(sizeof(Shape));
}

bool IsPermuted(const TfLiteNode *node) { return TableBytes(node) == 4 * ShapeOf(node)->channels; }

TfLiteStatus Refuse(const char *what, int found, int expected) {
  MicroPrintf("%s: %s is %d, not %d", kDYShiftMaxName, what, found, expected);
  return kTfLiteError;
}

TfLiteStatus CheckOptions(const TfLiteNode *node) {
  const Shape *shape = ShapeOf(node);
  if (shape == nullptr || TableBytes(node) < 0) {
    return Refuse("size of custom_options", node->custom_initial_data_size, sizeof(Shape));
  }
  if (reinterpret_cast<uintptr_t>(shape) % alignof(Shape) != 0) {
    return Refuse("alignment of custom_options", 1, alignof(Shape));
  }
  if (shape->branches != 1 && shape->branches != 2) {
    return Refuse("number of branches", shape->branches, 2);
  }
  const int channels = shape->channels;
  if (channels < 1) return Refuse("number of channels", channels, 1);
  if (TableBytes(node) != 2 * channels && !IsPermuted(node)) {
    return Refuse("size of the tables", TableBytes(node), 2 * channels);
  }
  for (int i = 0; i < TableBytes(node) / 2; ++i) {
    if (Tables(shape)[i] >= channels) return Refuse("a channel index", Tables(shape)[i], 0);
  }
  return kTfLiteOk;
}

int ElementCount(const TfLiteEvalTensor *tensor) {
  int count = 1;
  for (int i = 0; i < tensor->dims->size; ++i) count *= tensor->dims->data[i];
  return count;
}

TfLiteStatus Prepare(TfLiteContext *context, TfLiteNode *node) {
  if (CheckOptions(node) != kTfLiteOk) return kTfLiteError;
  const Shape *shape = ShapeOf(node);
  const int inputs = 1 + 2 * shape->branches;
  if (node->inputs->size != inputs) return Refuse("number of inputs", node->inputs->size, inputs);
  if (node->outputs->size != 1) return Refuse("number of outputs", node->outputs->size, 1);
  const TfLiteEvalTensor *x = GetEvalInput(context, node, 0);
  const TfLiteEvalTensor *output = GetEvalOutput(context, node, 0);
  const int size = ElementCount(x);
  if (x->type != kTfLiteInt8) return Refuse("type of the input", x->type, kTfLiteInt8);
  if (output->type != kTfLiteInt8) return Refuse("type of the output", output->type, kTfLiteInt8);
  if (size % shape->channels != 0 || size / shape->channels != shape->pixels) {
    return Refuse("number of pixels", size / shape->channels, shape->pixels);
  }
  if (ElementCount(output) != size) return Refuse("size of the output", ElementCount(output), size);
  for (int i = 1; i < inputs; ++i) {
    const TfLiteEvalTensor *coefficient = GetEvalInput(context, node, i);
    if (coefficient->type != kTfLiteInt8) {
      return Refuse("type of a coefficient", coefficient->type, kTfLiteInt8);
    }
    if (ElementCount(coefficient) != shape->channels) {
      return Refuse("number of coefficients", ElementCount(coefficient), shape->channels);
    }
  }
  return kTfLiteOk;
}

TfLiteStatus Invoke(TfLiteContext *context, TfLiteNode *node) {
  const Shape *shape = ShapeOf(node);
  const uint16_t *shift = Tables(shape);
  const uint16_t *source = IsPermuted(node) ? shift + shape->channels : nullptr;
  const micronet_dyshiftmax_params params = {*shape, shift, source};
  const int8_t *coefficients[4] = {};
  for (int i = 0; i < 2 * shape->branches; ++i) {
    coefficients[i] = GetTensorData<int8_t>(GetEvalInput(context, node, i + 1));
  }
  // The memory planner gives input and output memory of their own, so no scratch is needed.
  const micronet_status status = micronet_dyshiftmax(
      &params, GetTensorData<int8_t>(GetEvalInput(context, node, 0)), coefficients,
      GetTensorData<int8_t>(GetEvalOutput(context, node, 0)), nullptr, 0);
  return status == MICRONET_OK ? kTfLiteOk : kTfLiteError;
}

}  // namespace

Registration RegisterDYShiftMax() { return RegisterOp(nullptr, Prepare, Invoke); }

}  // namespace micronet
