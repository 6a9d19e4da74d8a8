// Convolutions and dense layers for TensorFlow Lite Micro, run by this project's kernels.
#include "kernel_ops.h"

#include <cstddef>
#include <cstdint>

#include "micronet_kernels.h"

namespace micronet {
namespace {

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "custom_options are little-endian and read in place"
#endif

// The options of an operator are its kernel's numbers: a struct of micronet_params.h, read in place.
template <typename Shape>
const Shape *ShapeOf(const TfLiteNode *node) {
  const void *data = node->custom_initial_data;
  if (data == nullptr || node->custom_initial_data_size != static_cast<int>(sizeof(Shape)) ||
      reinterpret_cast<uintptr_t>(data) % alignof(Shape) != 0) {
    return nullptr;
  }
  return static_cast<const Shape *>(data);
}

int32_t Count(const TfLiteEvalTensor *tensor) {
  int32_t count = 1;
  for (int i = 0; i < tensor->dims->size; ++i) count *= tensor->dims->data[i];
  return count;
}

TfLiteStatus Refuse(const char *name, const char *what) {
  MicroPrintf("%s: %s do not fit together; convert the model again", name, what);
  return kTfLiteError;
}

// The kernels check nothing, so all that they will touch is compared with the tensors' sizes here.
bool SizesAre(TfLiteContext *context, TfLiteNode *node, int32_t input, int32_t weights,
              int32_t constants, int32_t output, int32_t scratch) {
  const int outputs = scratch > 0 ? 2 : 1;
  if (node->inputs->size != 3 || node->outputs->size != outputs) return false;
  const int32_t expected[3] = {input, weights, constants};
  for (int i = 0; i < 3; ++i) {
    if (Count(GetEvalInput(context, node, i)) != expected[i]) return false;
  }
  if (Count(GetEvalOutput(context, node, 0)) != output) return false;
  return scratch == 0 || Count(GetEvalOutput(context, node, 1)) >= scratch;
}

template <typename T>
const T *Input(TfLiteContext *context, TfLiteNode *node, int index) {
  return GetTensorData<T>(GetEvalInput(context, node, index));
}

TfLiteStatus Done(micronet_status status) {
  return status == MICRONET_OK ? kTfLiteOk : kTfLiteError;
}

int8_t *Output(TfLiteContext *context, TfLiteNode *node, int index) {
  return GetTensorData<int8_t>(GetEvalOutput(context, node, index));
}

// Of scratch memory, the second output.
size_t ScratchBytes(TfLiteContext *context, TfLiteNode *node) {
  return static_cast<size_t>(Count(GetEvalOutput(context, node, 1)));
}

// --- convolutions -------------------------------------------------------------------------------

micronet_conv_params ConvOf(TfLiteContext *context, TfLiteNode *node) {
  return {*ShapeOf<micronet_conv_shape>(node), Input<int8_t>(context, node, 1),
          Input<micronet_channel>(context, node, 2), nullptr};
}

// Least bytes of scratch memory; none: there is no second output.
enum class Scratch : std::uint8_t { kNone, kPatch, kAny };

TfLiteStatus PrepareConv(TfLiteContext *context, TfLiteNode *node, const char *name, bool depthwise,
                         Scratch scratch) {
  const micronet_conv_shape *g = ShapeOf<micronet_conv_shape>(node);
  if (g == nullptr) return Refuse(name, "size or place of its options");
  const bool positive = g->in_h > 0 && g->in_w > 0 && g->in_c > 0 && g->out_h > 0 && g->out_w > 0 &&
                        g->out_c > 0 && g->kernel_h > 0 && g->kernel_w > 0 && g->stride_h > 0 &&
                        g->stride_w > 0;
  if (!positive || (depthwise && g->out_c % g->in_c != 0)) return Refuse(name, "its options");
  const int32_t patch = g->kernel_h * g->kernel_w * (depthwise ? 1 : g->in_c);
  const bool any = scratch == Scratch::kAny && node->outputs->size > 1;
  const int32_t least = scratch == Scratch::kPatch
                            ? static_cast<int32_t>(MICRONET_CONV2D_SCRATCH(patch))
                            : static_cast<int32_t>(any);
  const bool fit = SizesAre(context, node, g->in_h * g->in_w * g->in_c, patch * g->out_c,
                            4 * g->out_c, g->out_h * g->out_w * g->out_c, least);
  return fit ? kTfLiteOk : Refuse(name, "its tensors");
}

TfLiteStatus PrepareConv2D(TfLiteContext *context, TfLiteNode *node) {
  return PrepareConv(context, node, "MicroNetConv2D", false, Scratch::kPatch);
}

TfLiteStatus InvokeConv2D(TfLiteContext *context, TfLiteNode *node) {
  const micronet_conv_params conv = ConvOf(context, node);
  return Done(micronet_conv2d(&conv, Input<int8_t>(context, node, 0), Output(context, node, 0),
                              Output(context, node, 1), ScratchBytes(context, node)));
}

TfLiteStatus PrepareColumnRGB(TfLiteContext *context, TfLiteNode *node) {
  const char *name = "MicroNetConv2DColumnRGB";
  if (PrepareConv(context, node, name, false, Scratch::kNone) != kTfLiteOk) return kTfLiteError;
  const micronet_conv_shape *g = ShapeOf<micronet_conv_shape>(node);
  const bool column = g->in_c == 3 && g->kernel_w == 1 && g->stride_w == 1 && g->pad_left == 0 &&
                      g->out_w == g->in_w && g->kernel_h <= 8;
  return column ? kTfLiteOk : Refuse(name, "its options");
}

TfLiteStatus InvokeColumnRGB(TfLiteContext *context, TfLiteNode *node) {
  const micronet_conv_params conv = ConvOf(context, node);
  return Done(
      micronet_conv2d_column_rgb(&conv, Input<int8_t>(context, node, 0), Output(context, node, 0)));
}

TfLiteStatus PrepareDepthwise(TfLiteContext *context, TfLiteNode *node) {
  return PrepareConv(context, node, "MicroNetDepthwiseConv2D", true, Scratch::kAny);
}

TfLiteStatus InvokeDepthwise(TfLiteContext *context, TfLiteNode *node) {
  const micronet_conv_params conv = ConvOf(context, node);
  const bool has_scratch = node->outputs->size > 1;
  return Done(micronet_depthwise(&conv, Input<int8_t>(context, node, 0), Output(context, node, 0),
                                 has_scratch ? Output(context, node, 1) : nullptr,
                                 has_scratch ? ScratchBytes(context, node) : 0));
}

// --- grouped 1x1 --------------------------------------------------------------------------------

TfLiteStatus PrepareGrouped(TfLiteContext *context, TfLiteNode *node) {
  const char *name = "MicroNetGroupedConv2D";
  const micronet_conv2d_grouped_1x1_shape *g = ShapeOf<micronet_conv2d_grouped_1x1_shape>(node);
  if (g == nullptr) return Refuse(name, "size or place of its options");
  if (g->groups < 1 || g->in_c < 1 || g->out_c < 1 || g->pixels < 1 || g->in_c % g->groups != 0 ||
      g->out_c % g->groups != 0) {
    return Refuse(name, "its options");
  }
  const int32_t depth = g->in_c / g->groups;
  const bool fit = SizesAre(
      context, node, g->pixels * g->in_c, MICRONET_ROUND_UP_4(depth) * g->out_c, 4 * g->out_c,
      g->pixels * g->out_c, static_cast<int32_t>(MICRONET_CONV2D_GROUPED_1X1_SCRATCH(depth)));
  return fit ? kTfLiteOk : Refuse(name, "its tensors");
}

TfLiteStatus InvokeGrouped(TfLiteContext *context, TfLiteNode *node) {
  const micronet_conv2d_grouped_1x1_params grouped = {
      *ShapeOf<micronet_conv2d_grouped_1x1_shape>(node), Input<int16_t>(context, node, 1),
      Input<micronet_channel>(context, node, 2)};
  micronet_conv2d_grouped_1x1(&grouped, Input<int8_t>(context, node, 0), Output(context, node, 0),
                              Output(context, node, 1), ScratchBytes(context, node));
  return kTfLiteOk;
}

// --- fully connected ----------------------------------------------------------------------------

TfLiteStatus PrepareDense(TfLiteContext *context, TfLiteNode *node) {
  const char *name = "MicroNetFullyConnected";
  const micronet_fully_connected_shape *d = ShapeOf<micronet_fully_connected_shape>(node);
  if (d == nullptr) return Refuse(name, "size or place of its options");
  if (d->in_c < 1 || d->out_c < 1) return Refuse(name, "its options");
  const bool fit = SizesAre(context, node, d->in_c, d->in_c * d->out_c, d->out_c, d->out_c,
                            static_cast<int32_t>(MICRONET_FULLY_CONNECTED_SCRATCH(d->in_c)));
  return fit ? kTfLiteOk : Refuse(name, "its tensors");
}

TfLiteStatus InvokeDense(TfLiteContext *context, TfLiteNode *node) {
  const micronet_fully_connected_params dense = {*ShapeOf<micronet_fully_connected_shape>(node),
                                                 Input<int8_t>(context, node, 1),
                                                 Input<int32_t>(context, node, 2)};
  micronet_fully_connected(&dense, Input<int8_t>(context, node, 0), Output(context, node, 0),
                           Output(context, node, 1));
  return kTfLiteOk;
}

}  // namespace

Registration RegisterConv2D() { return RegisterOp(nullptr, PrepareConv2D, InvokeConv2D); }
Registration RegisterConv2DColumnRGB() {
  return RegisterOp(nullptr, PrepareColumnRGB, InvokeColumnRGB);
}
Registration RegisterDepthwiseConv2D() {
  return RegisterOp(nullptr, PrepareDepthwise, InvokeDepthwise);
}
Registration RegisterGroupedConv2D() { return RegisterOp(nullptr, PrepareGrouped, InvokeGrouped); }
Registration RegisterFullyConnected() { return RegisterOp(nullptr, PrepareDense, InvokeDense); }

}  // namespace micronet
