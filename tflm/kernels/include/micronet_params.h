/* The parameters of the kernels. What a kernel does with them is written in micronet_kernels.h.
 *
 * Made by `python -m micronet_mcu.graph.params_header` from micronet_mcu/graph/structs.py: change
 * that. A struct with pointers begins with one of its numbers, `shape`: these bytes, little-endian,
 * are the options of the kernel's custom operator for TensorFlow Lite Micro. */
#ifndef MICRONET_PARAMS_H_
#define MICRONET_PARAMS_H_

#include <stdint.h>

/* The record of an output channel: see REQUANTIZATION in micronet_kernels.h. */
typedef struct {
  int32_t doubled_bias, multiplier, offset, shift;
} micronet_channel;

/* A convolution whose channels have records. */
typedef struct {
  int16_t in_h, in_w, in_c;
  int16_t out_h, out_w, out_c;
  int16_t kernel_h, kernel_w;
  int16_t stride_h, stride_w;
  int16_t pad_top, pad_left;
  int16_t input_zero_point;
  int8_t clamp_min, clamp_max;
} micronet_conv_shape;

typedef struct {
  micronet_conv_shape shape;
  const int8_t *weights;            /* the layout of the flatbuffer (see each kernel) */
  const micronet_channel *channels; /* out_c records */
  const uint16_t *source;           /* only read by the depthwise kernels; may be NULL */
} micronet_conv_params;

/* A convolution with the numbers of the flatbuffer as they are. */
typedef struct {
  int16_t in_h, in_w, in_c;
  int16_t out_h, out_w, out_c;
  int16_t kernel_h, kernel_w;
  int16_t stride_h, stride_w;
  int16_t dilation_h, dilation_w;
  int16_t pad_top, pad_left;
  int16_t groups;
  int16_t input_zero_point, output_zero_point;
  int8_t clamp_min, clamp_max;
} micronet_conv_plain_shape;

typedef struct {
  micronet_conv_plain_shape shape;
  const int8_t *weights;
  const int32_t *bias;       /* may be NULL */
  const int32_t *multiplier; /* one per output channel */
  const int8_t *shift;       /* TensorFlow Lite's, positive to the left */
} micronet_conv_plain_params;

/* Output channels whose scales do not fit into a record, with numbers as in the flatbuffer. */
typedef struct {
  int16_t count, output_zero_point;
} micronet_depthwise_wide_shape;

typedef struct {
  micronet_depthwise_wide_shape shape;
  const uint16_t *channel; /* `count` of them, rising */
  const int8_t *weights;   /* [count][kernel_h][kernel_w] */
  const int32_t *bias, *multiplier;
  const int8_t *shift; /* TensorFlow Lite's, positive to the left */
} micronet_depthwise_wide_params;

/* A 1x1 convolution with groups. */
typedef struct {
  int32_t pixels;
  int16_t in_c, out_c, groups;
  int16_t input_zero_point;
  int8_t clamp_min, clamp_max;
} micronet_conv2d_grouped_1x1_shape;

typedef struct {
  micronet_conv2d_grouped_1x1_shape shape;
  const int16_t *doubled_weights;   /* in fours, see the kernel */
  const micronet_channel *channels; /* out_c records */
} micronet_conv2d_grouped_1x1_params;

/* A dense layer with one scale. */
typedef struct {
  int16_t in_c, out_c;
  int16_t input_zero_point;
  int8_t clamp_min, clamp_max;
  int32_t multiplier, offset, shift; /* a record's, of all outputs */
} micronet_fully_connected_shape;

typedef struct {
  micronet_fully_connected_shape shape;
  const int8_t *weights;       /* [out_c][in_c] */
  const int32_t *doubled_bias; /* 2 * bias of every output */
} micronet_fully_connected_params;

/* How a coefficient of Dynamic Shift-Max is widened, see micronet_dyshiftmax. */
typedef struct {
  int32_t multiplier, zero_point;
} micronet_coefficient;

/* Dynamic Shift-Max. */
typedef struct {
  int32_t pixels;
  int16_t channels;
  int16_t branches; /* 1 or 2 */
  int16_t input_zero_point, output_zero_point;
  micronet_coefficient coefficient[4]; /* of a1, b1, a2, b2 */
} micronet_dyshiftmax_shape;

typedef struct {
  micronet_dyshiftmax_shape shape;
  const uint16_t *shift;  /* `channels` entries */
  const uint16_t *source; /* `channels` entries, or NULL */
} micronet_dyshiftmax_params;

/* A pool over windows. */
typedef struct {
  int16_t in_h, in_w, channels;
  int16_t out_h, out_w;
  int16_t kernel_h, kernel_w;
  int16_t stride_h, stride_w;
  int16_t pad_top, pad_left;
  int8_t clamp_min, clamp_max;
} micronet_pool_params;

/* The mean of a map, with scales of its own. */
typedef struct {
  int32_t pixels, channels;
  int32_t input_offset, multiplier;
  int16_t shift, output_zero_point;
} micronet_mean_params;

/* Bilinear resizing. */
typedef struct {
  int16_t in_h, in_w, channels;
  int16_t out_h, out_w;
  int32_t step_h, step_w, start_h, start_w; /* in 1/1024 rows and columns */
} micronet_resize_bilinear_params;

/* A sum whose output fits a record. */
typedef struct {
  int32_t count, in1_count, in2_count;
  int32_t multiplier, offset, shift; /* a record's */
  int8_t clamp_min, clamp_max;
} micronet_add_shape;

typedef struct {
  micronet_add_shape shape;
  const int32_t *table; /* 256 values, see the kernel */
} micronet_add_params;

/* A product whose output fits a record. */
typedef struct {
  int32_t count, in1_count, in2_count;
  int16_t in1_zero_point, in2_zero_point;
  int8_t clamp_min, clamp_max;
  int32_t multiplier, offset, shift; /* a record's */
} micronet_mul_params;

/* A product or a sum of any scales. */
typedef struct {
  int32_t count, in1_count, in2_count;
  int16_t in1_zero_point, in2_zero_point, output_zero_point;
  int8_t clamp_min, clamp_max;
  int32_t in1_multiplier, in2_multiplier, out_multiplier;
  int8_t in1_shift, in2_shift, out_shift;
} micronet_binary_params;

/* Softmax over the last axis. */
typedef struct {
  int32_t rows, depth;
  int32_t input_multiplier, input_left_shift, diff_min;
} micronet_softmax_params;

/* Padding of height, width and channels. */
typedef struct {
  int16_t in_h, in_w, in_c;
  int16_t top, bottom, left, right;
  int16_t front, back; /* channels */
  int8_t value;
} micronet_pad_params;

/* The output's values as steps through the input. */
typedef struct {
  int32_t start;
  int32_t size[6]; /* of the axes, the last one fastest */
  int32_t step[6]; /* in the input, along each axis */
} micronet_move_params;

#endif /* MICRONET_PARAMS_H_ */
