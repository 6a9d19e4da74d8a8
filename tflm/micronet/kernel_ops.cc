// Convolutions and dense layers for TensorFlow Lite Micro, run by this project's kernels.
#include "kernel_ops.h"

#include <cstdint>

#include "micronet_kernels.h"

namespace micronet {
namespace {

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "custom_options are little-endian and read in place"
#endif

constexpr uint16_t kVersion = 1;

// custom_options, field by field as in the file.
struct Geometry {
  uint16_t version;
  int16_t in_h, in_w, in_c, out_h, out_w, out_c;
  int16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, input_zero_point;
  int8_t clamp_min, clamp_max;
  int16_t zero;
};
static_assert(sizeof(Geometry) == 32, "no padding: the layout is that of the file");

struct Grouped {
  uint16_t version;
  int16_t in_c, out_c, groups, input_zero_point;
  int8_t clamp_min, clamp_max;
  int32_t pixels;
};
static_assert(sizeof(Grouped) == 16, "no padding: the layout is that of the file");

struct Dense {
  uint16_t version;
  int16_t in_c, out_c, input_zero_point;
  int8_t clamp_min, clamp_max;
  int16_t zero;
  int32_t multiplier, offset, shift;
};
static_assert(sizeof(Dense) == 24, "no padding: the layout is that of the file");

template <typename Options>
const Options* OptionsOf(const TfLiteNode* node) {
  const void* data = node->custom_initial_data;
  if (data == nullptr || node->custom_initial_data_size != static_cast<int>(sizeof(Options)) ||
      reinterpret_cast<uintptr_t>(data) % alignof(Options) != 0) {
    return nullptr;
  }
  const Options* options = static_cast<const Options*>(data);
  return options->version == kVersion ? options : nullptr;
}

int32_t Count(const TfLiteEvalTensor* tensor) {
  int32_t count = 1;
  for (int i = 0; i < tensor->dims->size; ++i) count *= tensor->dims->data[i];
  return count;
}

TfLiteStatus Refuse(const char* name, const char* what) {
  MicroPrintf("%s: %s do not fit together; convert the model again", name, what);
  return kTfLiteError;
}

// The kernels check nothing, so all that they will touch is compared with the tensors' sizes here.
bool SizesAre(TfLiteContext* context, TfLiteNode* node, int32_t input, int32_t weights,
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
const T* Input(TfLiteContext* context, TfLiteNode* node, int index) {
  return GetTensorData<T>(GetEvalInput(context, node, index));
}

int8_t* Output(TfLiteContext* context, TfLiteNode* node, int index) {
  return GetTensorData<int8_t>(GetEvalOutput(context, node, index));
}

// --- convolutions -------------------------------------------------------------------------------

micronet_conv_params ConvOf(TfLiteContext* context, TfLiteNode* node) {
  const Geometry* g = static_cast<const Geometry*>(node->custom_initial_data);
  micronet_conv_params conv = {};
  conv.in_h = g->in_h;
  conv.in_w = g->in_w;
  conv.in_c = g->in_c;
  conv.out_h = g->out_h;
  conv.out_w = g->out_w;
  conv.out_c = g->out_c;
  conv.kernel_h = g->kernel_h;
  conv.kernel_w = g->kernel_w;
  conv.stride_h = g->stride_h;
  conv.stride_w = g->stride_w;
  conv.pad_top = g->pad_top;
  conv.pad_left = g->pad_left;
  conv.input_zero_point = g->input_zero_point;
  conv.clamp_min = g->clamp_min;
  conv.clamp_max = g->clamp_max;
  conv.weights = Input<int8_t>(context, node, 1);
  conv.channels = Input<micronet_channel>(context, node, 2);
  return conv;
}

// `depth`: input channels that a filter sees.
TfLiteStatus PrepareConv(TfLiteContext* context, TfLiteNode* node, const char* name, bool depthwise,
                         bool has_scratch) {
  const Geometry* g = OptionsOf<Geometry>(node);
  if (g == nullptr) return Refuse(name, "version or size of its options");
  const bool positive = g->in_h > 0 && g->in_w > 0 && g->in_c > 0 && g->out_h > 0 && g->out_w > 0 &&
                        g->out_c > 0 && g->kernel_h > 0 && g->kernel_w > 0 && g->stride_h > 0 &&
                        g->stride_w > 0;
  if (!positive || (depthwise && g->out_c % g->in_c != 0)) return Refuse(name, "its options");
  const int32_t patch = g->kernel_h * g->kernel_w * (depthwise ? 1 : g->in_c);
  const bool fit = SizesAre(context, node, g->in_h * g->in_w * g->in_c, patch * g->out_c, 4 * g->out_c,
                            g->out_h * g->out_w * g->out_c,
                            has_scratch ? static_cast<int32_t>(MICRONET_CONV2D_SCRATCH(patch)) : 0);
  return fit ? kTfLiteOk : Refuse(name, "its tensors");
}

TfLiteStatus PrepareConv2D(TfLiteContext* context, TfLiteNode* node) {
  return PrepareConv(context, node, "MicroNetConv2D", false, true);
}

TfLiteStatus InvokeConv2D(TfLiteContext* context, TfLiteNode* node) {
  const micronet_conv_params conv = ConvOf(context, node);
  micronet_conv2d(&conv, Input<int8_t>(context, node, 0), Output(context, node, 0),
                  Output(context, node, 1));
  return kTfLiteOk;
}

TfLiteStatus PrepareColumnRGB(TfLiteContext* context, TfLiteNode* node) {
  const char* name = "MicroNetConv2DColumnRGB";
  if (PrepareConv(context, node, name, false, false) != kTfLiteOk) return kTfLiteError;
  const Geometry* g = OptionsOf<Geometry>(node);
  const bool column = g->in_c == 3 && g->kernel_w == 1 && g->stride_w == 1 && g->pad_left == 0 &&
                      g->out_w == g->in_w && g->kernel_h <= 8;
  return column ? kTfLiteOk : Refuse(name, "its options");
}

TfLiteStatus InvokeColumnRGB(TfLiteContext* context, TfLiteNode* node) {
  const micronet_conv_params conv = ConvOf(context, node);
  micronet_conv2d_column_rgb(&conv, Input<int8_t>(context, node, 0), Output(context, node, 0));
  return kTfLiteOk;
}

TfLiteStatus PrepareDepthwise(TfLiteContext* context, TfLiteNode* node) {
  return PrepareConv(context, node, "MicroNetDepthwiseConv2D", true, false);
}

TfLiteStatus InvokeDepthwise(TfLiteContext* context, TfLiteNode* node) {
  const micronet_conv_params conv = ConvOf(context, node);
  micronet_depthwise(&conv, Input<int8_t>(context, node, 0), Output(context, node, 0));
  return kTfLiteOk;
}

// --- grouped 1x1 --------------------------------------------------------------------------------

TfLiteStatus PrepareGrouped(TfLiteContext* context, TfLiteNode* node) {
  const char* name = "MicroNetGroupedConv2D";
  const Grouped* g = OptionsOf<Grouped>(node);
  if (g == nullptr) return Refuse(name, "version or size of its options");
  if (g->groups < 1 || g->in_c < 1 || g->out_c < 1 || g->pixels < 1 || g->in_c % g->groups != 0 ||
      g->out_c % g->groups != 0) {
    return Refuse(name, "its options");
  }
  const int32_t depth = g->in_c / g->groups;
  const bool fit = SizesAre(context, node, g->pixels * g->in_c, MICRONET_ROUND_UP_4(depth) * g->out_c,
                            4 * g->out_c, g->pixels * g->out_c,
                            static_cast<int32_t>(MICRONET_CONV2D_GROUPED_1X1_SCRATCH(depth)));
  return fit ? kTfLiteOk : Refuse(name, "its tensors");
}

TfLiteStatus InvokeGrouped(TfLiteContext* context, TfLiteNode* node) {
  const Grouped* g = static_cast<const Grouped*>(node->custom_initial_data);
  micronet_conv2d_grouped_1x1_params grouped = {};
  grouped.pixels = g->pixels;
  grouped.in_c = g->in_c;
  grouped.out_c = g->out_c;
  grouped.groups = g->groups;
  grouped.input_zero_point = g->input_zero_point;
  grouped.clamp_min = g->clamp_min;
  grouped.clamp_max = g->clamp_max;
  grouped.doubled_weights = Input<int16_t>(context, node, 1);
  grouped.channels = Input<micronet_channel>(context, node, 2);
  micronet_conv2d_grouped_1x1(&grouped, Input<int8_t>(context, node, 0), Output(context, node, 0),
                              Output(context, node, 1));
  return kTfLiteOk;
}

// --- fully connected ----------------------------------------------------------------------------

TfLiteStatus PrepareDense(TfLiteContext* context, TfLiteNode* node) {
  const char* name = "MicroNetFullyConnected";
  const Dense* d = OptionsOf<Dense>(node);
  if (d == nullptr) return Refuse(name, "version or size of its options");
  if (d->in_c < 1 || d->out_c < 1) return Refuse(name, "its options");
  const bool fit = SizesAre(context, node, d->in_c, d->in_c * d->out_c, d->out_c, d->out_c,
                            static_cast<int32_t>(MICRONET_FULLY_CONNECTED_SCRATCH(d->in_c)));
  return fit ? kTfLiteOk : Refuse(name, "its tensors");
}

TfLiteStatus InvokeDense(TfLiteContext* context, TfLiteNode* node) {
  const Dense* d = static_cast<const Dense*>(node->custom_initial_data);
  micronet_fully_connected_params dense = {};
  dense.in_c = d->in_c;
  dense.out_c = d->out_c;
  dense.input_zero_point = d->input_zero_point;
  dense.clamp_min = d->clamp_min;
  dense.clamp_max = d->clamp_max;
  dense.multiplier = d->multiplier;
  dense.offset = d->offset;
  dense.shift = d->shift;
  dense.weights = Input<int8_t>(context, node, 1);
  dense.doubled_bias = Input<int32_t>(context, node, 2);
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
