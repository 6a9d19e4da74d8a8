/* Kernels for int8 networks of the MicroNet kind: the interface.
 *
 * C99, no allocation, no state, no libc beyond memcpy and memset. Tensors are int8, NHWC, one
 * image, quantized as TensorFlow Lite defines it: real = scale * (q - zero_point). Every kernel
 * gives, bit for bit, what TensorFlow Lite Micro's reference kernel of the same operator gives; the
 * fused micronet_dyshiftmax, which has no operator, is within one step of exact real arithmetic.
 *
 * Sizes are not checked here: whoever writes the parameters (the model compiler) has checked them.
 * A kernel that not all parameters suit returns a micronet_status: either it has written all of
 * its output, or it refuses and has written nothing.
 *
 * Which code runs is chosen when compiling, and all choices agree bit for bit:
 *   reference/   the readable loops, with -DMICRONET_REFERENCE=1
 *   helium/      when the compiler targets Helium (MVE)
 *   dsp/         for Armv7E-M with DSP; on any other machine the same code runs on portable
 *                equivalents of the instructions (dsp/micronet_dsp.h)
 * What has one form for all is in common/. micronet_target.h chooses.
 *
 * Memory rules. `out` and inputs must not overlap unless a kernel says so. `scratch` is 8-byte
 * aligned and holds nothing between calls. Parameter structs and what they point to are constant
 * and may lie in flash. Arrays of int32_t or of structs are 4-byte aligned as C demands; int8_t
 * arrays need no alignment.
 *
 *
 * REQUANTIZATION, and what the model compiler prepares (once, offline)
 * -------------------------------------------------------------------
 * TensorFlow Lite turns an accumulator into an output by two roundings,
 *     y   = round_half_up(acc * 2^max(s, 0) * m / 2^31)
 *     out = clamp(round_half_away_from_zero(y / 2^max(-s, 0)) + zero_point)
 * with the "multiplier" m in [2^30, 2^31) and the "shift" s,
 * where scale_in * scale_weights / scale_out = m * 2^(s - 31).
 * Here each output channel has a record (micronet_channel) prepared from bias, m, s, zero_point,
 * for s < 0:
 *     doubled_bias = 2 * bias
 *     multiplier   = m
 *     shift        = -s                                     (the record needs 1 <= shift <= 22)
 *     offset       = zero_point * 2^shift + 2^(shift - 1)
 * and with doubled_acc = doubled_bias + sum 2 * w * (x - input_zero_point) a kernel computes
 *     high = floor((doubled_acc * multiplier + 2^31) / 2^32)
 *     out  = clamp((high + offset - (doubled_acc < 0)) >> shift)
 * which is the same number: four instructions (ADD, SMMLAR, ASR, SSAT).
 * A channel fits a record when
 *     1 <= -s <= 22   and   2 * (|bias| + 255 * sum |w|) < 2^31.
 * A channel that does not fit but whose output is the same, v, for the least and for the greatest
 * acc that it can reach (a dead channel with a tiny scale and a huge bias is common; out is
 * monotone in acc) is stored as weights 0 and
 *     {doubled_bias = 0, multiplier = 0, offset = 2 * v + 1, shift = 1}.
 * Any other channel that does not fit is computed with the numbers of the flatbuffer as they are:
 * of DEPTHWISE_CONV_2D it alone (micronet_depthwise_wide), of other operators with all the rest, by
 * their *_plain kernel.
 *
 * clamp_min and clamp_max are the fused activation's bounds in output steps (-128, 127 for none).
 * Bounds inside the int8 range cost an extra pass over the output; ReLU and ReLU6 usually need
 * none, because their output's zero point is -128 and its largest value 6.
 */
#ifndef MICRONET_KERNELS_H_
#define MICRONET_KERNELS_H_

#include <stddef.h>
#include <stdint.h>

#include "micronet_params.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MICRONET_ROUND_UP_4(n) (((n) + 3) & ~3)

typedef int micronet_status;
enum {
  MICRONET_OK = 0,
  MICRONET_REFUSED = 1 /* the kernel is not made for these parameters; nothing is written */
};

/* ------------------------------------------------------------------------------------------
 * Convolutions. SAME and VALID are resolved by the caller: output (y, x) starts at input row
 * y * stride_h - pad_top, column x * stride_w - pad_left; taps outside of the input count as real
 * zeros.
 * ------------------------------------------------------------------------------------------ */

/* CONV_2D, one group, any kernel; dense 1x1 too.
 * weights: [out_c][kernel_h][kernel_w][in_c] as in the flatbuffer.
 * scratch: MICRONET_CONV2D_SCRATCH(kernel_h * kernel_w * in_c) bytes (two patches of int16, one of
 * int8) or more; scratch_bytes says how many. The more, the faster on Armv7E-M, up to
 * MICRONET_CONV2D_MOST_SCRATCH(patch, out_h * out_w): two outputs' weights and all patches. It
 * refuses nothing.
 */
#define MICRONET_CONV2D_SCRATCH(patch) (5 * MICRONET_ROUND_UP_4(patch))
#define MICRONET_CONV2D_MOST_SCRATCH(patch, pixels) \
  (MICRONET_ROUND_UP_4(patch) * (4 + 2 * MICRONET_ROUND_UP_4(pixels)))
micronet_status micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                void *scratch, size_t scratch_bytes);

/* CONV_2D from 3 channels with kernel_w = 1, stride_w = 1, pad_left = 0 (so out_w = in_w): the
 * first layer. kernel_h <= MICRONET_MOST_COLUMN_ROWS. It refuses other shapes. A window may lie
 * outside of the image in part, not wholly.
 * weights: [out_c][kernel_h][1][3] as in the flatbuffer.
 * Works row by row from the top: while output row y is written, only input rows from y * stride_h -
 * pad_top to that + kernel_h - 1 are read. So `out` may lie over input rows that are no longer
 * needed: it is enough that for every y the end of output row y lies at or before the first byte of
 * input row max(0, y * stride_h - pad_top).
 */
#define MICRONET_MOST_COLUMN_ROWS 8
micronet_status micronet_conv2d_column_rgb(const micronet_conv_params *p, const int8_t *in,
                                           int8_t *out);

/* DEPTHWISE_CONV_2D, any kernel, stride, multiplier (out_c / in_c).
 * weights: [kernel_h][kernel_w][out_c] as in the flatbuffer ([1, kernel_h, kernel_w, out_c]).
 * source: out_c entries, output channel o is computed from input channel source[o], so that a
 * GATHER before or after costs nothing; NULL: o / (out_c / in_c). Fast for kx1 and 1xk with k <= 5,
 * and for 3x3. It refuses nothing.
 * scratch: it needs none, scratch may be NULL and scratch_bytes 0. With a kernel of 3x3 and stride_w
 * 1 or 2 it is faster on Armv7E-M where scratch holds the lines of some rows of outputs,
 * MICRONET_DEPTHWISE_SCRATCH(1 .. out_h, stride_h, out_w, stride_w) bytes.
 */
#define MICRONET_DEPTHWISE_LINE(out_w, stride_w) ((out_w) * (stride_w) <= 12 ? 32 : 128)
#define MICRONET_DEPTHWISE_SCRATCH(rows, stride_h, out_w, stride_w) \
  (MICRONET_DEPTHWISE_LINE(out_w, stride_w) * (((rows) - 1) * (stride_h) + 3))
micronet_status micronet_depthwise(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                   void *scratch, size_t scratch_bytes);

/* The same in less flash, for kx1 and 1xk kernels with k <= 5. Along the kernel the stride is 1 or
 * 2, there are 250 / stride outputs at most, and every window meets the image; across the kernel
 * nothing is padded. Beyond that it may refuse, which depends on the processor. It
 * needs no scratch. */
micronet_status micronet_depthwise_1d(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                      void *scratch, size_t scratch_bytes);

typedef micronet_status (*micronet_conv_kernel)(const micronet_conv_params *p, const int8_t *in,
                                                int8_t *out, void *scratch, size_t scratch_bytes);

/* The same as `kernel`, which is one of micronet_conv2d, micronet_depthwise and
 * micronet_depthwise_1d, called for `rows` rows of the output after the others. Every window meets
 * the image. So `out` may lie over input rows that are used up: it is enough that for every band,
 * from output row y on, the end of its output lies at or before the first byte of input row
 * max(0, y * stride_h - pad_top). What `kernel` refuses of the first band, it refuses.
 */
micronet_status micronet_in_bands(const micronet_conv_params *p, micronet_conv_kernel kernel,
                                  int32_t rows, const int8_t *in, int8_t *out, void *scratch,
                                  size_t scratch_bytes);

/* The same, `rows` rows of the output at a time as micronet_in_bands does, where some channels'
 * scales do not fit into a record. `rest` computes all channels but those of `wide`, for which `p`
 * may hold any record; they follow. What `rest` refuses, it refuses.
 */
micronet_status micronet_depthwise_wide(const micronet_conv_params *p,
                                        const micronet_depthwise_wide_params *wide,
                                        micronet_conv_kernel rest, int32_t rows, const int8_t *in,
                                        int8_t *out, void *scratch, size_t scratch_bytes);

/* CONV_2D 1x1, stride 1, with groups (2 or more; 1 works too but micronet_conv2d is faster).
 * doubled_weights: [out_c][MICRONET_ROUND_UP_4(in_c / groups)] int16, 4-byte aligned. With the
 * inputs of a group padded to fours by weights of 0, each four is stored in the order 0, 2, 1, 3:
 *     doubled_weights[o][4 * q + {0, 1, 2, 3}] = 2 * w[o][4 * q + {0, 2, 1, 3}]
 * where w is the flatbuffer's [out_c][1][1][in_c / groups]. (SXTB16 takes bytes 0 and 2, then 1 and
 * 3.)
 * scratch: MICRONET_CONV2D_GROUPED_1X1_SCRATCH(in_c / groups) bytes (two outputs' weights and four
 * pixels of int16) or more, up to MICRONET_CONV2D_MOST_SCRATCH(in_c / groups, pixels), as in
 * micronet_conv2d.
 */
#define MICRONET_CONV2D_GROUPED_1X1_SCRATCH(in_per_group) (12 * MICRONET_ROUND_UP_4(in_per_group))
void micronet_conv2d_grouped_1x1(const micronet_conv2d_grouped_1x1_params *p, const int8_t *in,
                                 int8_t *out, void *scratch, size_t scratch_bytes);

/* FULLY_CONNECTED of one vector, per-tensor weights: all outputs share multiplier, offset and
 * shift.
 * weights: [out_c][in_c] as in the flatbuffer, doubled_bias: out_c values of 2 * bias (all 0 where
 * it has none).
 * scratch: MICRONET_FULLY_CONNECTED_SCRATCH(in_c) bytes, or NULL, which is slower on Armv7E-M. `out`
 * must not overlap `in`.
 * Per-channel weights: micronet_conv2d with one pixel gives the same result.
 * Beware: TFLM takes the product of the per-tensor scales in float32: (m, s) of (double)(scale_in *
 * scale_w) / scale_out. Every convolution, and per-channel FULLY_CONNECTED, takes it in double.
 */
#define MICRONET_FULLY_CONNECTED_SCRATCH(in_c) (2 * MICRONET_ROUND_UP_4(in_c))
void micronet_fully_connected(const micronet_fully_connected_params *p, const int8_t *in,
                              int8_t *out, void *scratch);

/* The plain forms: numbers as in the flatbuffer, nothing prepared, no limit on scales; slow.
 * multiplier, shift: one per output channel (repeat them for per-tensor weights); shift is
 * TensorFlow Lite's, positive to the left. bias may be NULL. groups = 1 for an ordinary
 * convolution. FULLY_CONNECTED is a conv2d of one pixel with a 1x1 kernel.
 */
void micronet_conv2d_plain(const micronet_conv_plain_params *p, const int8_t *in, int8_t *out);
/* groups is not read; the multiplier is out_c / in_c. */
void micronet_depthwise_plain(const micronet_conv_plain_params *p, const int8_t *in, int8_t *out);

/* ------------------------------------------------------------------------------------------
 * Dynamic Shift-Max, fused: AVERAGE_POOL and FULLY_CONNECTED have made the coefficients; this
 * replaces the GATHERs, MULs, ADDs and MAXIMUM that apply them.
 *
 *     y_k[c]  = a_k[c] * x[c] + b_k[c] * x[shift[c]]          k = 1, 2 (y = y_1 if branches = 1)
 *     y[c]    = max(y_1[c], y_2[c])
 *     out[j]  = y[source[j]]                            (the channel shuffle after it; NULL: none)
 *
 * in real numbers; out is y in steps of scale_out, rounded once. Coefficient q of tensor i (a1, b1,
 * a2, b2) is real scale_i * (q - zero_point_i). It is widened when the kernel runs to a multiple of
 * 2^-12 output steps per input step:
 *     A = ((q - zero_point) * multiplier + 2^15) >> 16
 *     multiplier = round(scale_i * scale_x / scale_out * 2^28)
 *     out = clamp_int8(((A * (x - zx) + B * (x2 - zx) + 2^11) >> 12) + output_zero_point)
 * (for two branches the larger of both),
 * which is at most 0.5 + 0.07 steps from exact. It needs (checked offline; r = 255 * scale_i is the
 * coefficient's range, 4.0 in a MicroNet):
 *     |(q - zero_point) * multiplier| < 2^31 - 2^15 and |A| <= 32767 for all q, for two branches
 *     |A_1 - A_2| <= 32767, |B_1 - B_2| <= 32767 for all q.
 * With MicroNet's ranges that is scale_x / scale_out < 1.99; beyond that, do it operator by
 * operator. A fused activation (MicroNet has none here) is a following micronet_clamp.
 *
 * In place: out == in is allowed; then `scratch` holds MICRONET_DYSHIFTMAX_SCRATCH(channels) bytes
 * or more (scratch_bytes says how many; the more pixels fit, the faster), and it refuses less. Else
 * scratch may be NULL and 0.
 * ------------------------------------------------------------------------------------------ */

#define MICRONET_DYSHIFTMAX_SCRATCH(channels) (channels)
/* coefficients: pointers to a1, b1 (and a2, b2), `channels` int8 values each. */
micronet_status micronet_dyshiftmax(const micronet_dyshiftmax_params *p, const int8_t *in,
                                    const int8_t *const coefficients[4], int8_t *out, void *scratch,
                                    size_t scratch_bytes);

/* ------------------------------------------------------------------------------------------
 * Pooling
 * ------------------------------------------------------------------------------------------ */

/* AVERAGE_POOL_2D: the mean of the taps inside of the image, halves away from zero. */
void micronet_average_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out);
/* AVERAGE_POOL_2D over the whole map: out has `channels` values. channels <= 32767. */
void micronet_global_average_pool(int32_t pixels, int32_t channels, const int8_t *in, int8_t *out);
void micronet_max_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out);

/* MEAN over height and width, with scales of its own:
 * out[c] = output zero point + (sum over all pixels of in[pixel][c] - input_offset) scaled.
 * input_offset = pixels * input zero point. With (m, shift) the split of scale_in / scale_out and
 * s = min(floor(log2(pixels)), 31 + shift), TensorFlow Lite's division by the count is
 * multiplier = (m * 2^s) / pixels, rounded down, and shift - s in the place of shift.
 */
void micronet_mean(const micronet_mean_params *p, const int8_t *in, int8_t *out);

/* RESIZE_BILINEAR, input and output of one scale. Row y of the output lies start_h + y * step_h
 * below the input's first row, in 1/1024 rows; columns likewise:
 * step = (1024 * in + out / 2) / out, or with aligned corners (and out > 1) the same of in - 1 and
 * out - 1; start = step / 2 - 512 with half pixel centres, else 0.
 */
void micronet_resize_bilinear(const micronet_resize_bilinear_params *p, const int8_t *in,
                              int8_t *out);

/* ------------------------------------------------------------------------------------------
 * Elementwise. `out` may be equal to an input that has the output's size.
 * ------------------------------------------------------------------------------------------ */

/* Operands: input 1 has in1_count values, input 2 in2_count; the output has `count`, a multiple of
 * both. Element i takes in1[i % in1_count] and in2[i % in2_count]: the same shape (count), [1, 1,
 * 1, C] (C), one number (1).
 */

/* ADD. TensorFlow Lite brings both operands to steps of twice_max / 2^20, twice_max = 2 *
 * max(scale1, scale2). Input 1 is the one of the larger scale (exchange them if need be): its
 * multiplier is 1/2 exactly. Of input 2 every value is prepared, so that twice the sum is
 *     doubled_acc = in1 * 2^20 + table[in2 + 128]
 *     table[q + 128] = 2 * scaled((q - zero_point2) * 2^20) - zero_point1 * 2^20
 * where scaled() is the multiplication by scale2 / twice_max in its two roundings. multiplier,
 * offset and shift are a record's, of twice_max / (2^20 * scale_out). One input has `count` values.
 * `out` may be an input.
 */
void micronet_add(const micronet_add_params *p, const int8_t *in1, const int8_t *in2, int8_t *out);

/* MUL with broadcasting, in1_count and in2_count as in ADD. multiplier, offset and shift are a
 * record's, of scale1 * scale2 / scale_out: its bias is 0, and products of two differences of int8
 * are far inside of its range. `out` may be an input.
 */
void micronet_mul(const micronet_mul_params *p, const int8_t *in1, const int8_t *in2, int8_t *out);

/* ADD and MUL whose output does not fit a record, and such a SUB or one whose second operand has the
 * larger scale. ADD, SUB: (m_i, s_i) of scale_i / twice_max, (m, s) of twice_max / (2^20 *
 * scale_out). MUL: (m, s) of scale1 * scale2 / scale_out in out_multiplier,
 * out_shift; in1_multiplier .. in2_shift are not read. Shifts are TensorFlow Lite's (positive to
 * the left).
 */
void micronet_add_plain(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                        int8_t *out);
void micronet_sub_plain(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                        int8_t *out);
void micronet_mul_plain(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                        int8_t *out);
/* PRELU: in1 where it is at least its zero point, else in1 * in2, each scaled. (m, s) of scale1 /
 * scale_out in in1_multiplier, in1_shift, of scale1 * scale2 / scale_out in out_multiplier,
 * out_shift. */
void micronet_prelu(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                    int8_t *out);
/* MAXIMUM and MINIMUM of tensors that share scale and zero point, as TensorFlow Lite demands. */
void micronet_maximum(int32_t count, int32_t in1_count, int32_t in2_count, const int8_t *in1,
                      const int8_t *in2, int8_t *out);
void micronet_minimum(int32_t count, int32_t in1_count, int32_t in2_count, const int8_t *in1,
                      const int8_t *in2, int8_t *out);

/* Any function of one int8: out[i] = table[in[i] + 128]. RELU, HARD_SWISH, QUANTIZE (of and to uint8,
 * too, whose bytes are read and written as int8). `out` may be `in`. */
void micronet_lookup(const int8_t table[256], int32_t count, const int8_t *in, int8_t *out);

/* out[i] = min(max(in[i], lowest), highest) */
void micronet_clamp(int32_t count, int lowest, int highest, const int8_t *in, int8_t *out);

/* QUANTIZE and DEQUANTIZE of float, scale > 0: to int8 halves away from zero, saturated; what is no
 * number becomes 0. `out` may lie over `in`: of quantize it begins at or before the first byte of
 * `in`, of dequantize 3 * count bytes before it at least. */
void micronet_quantize(int32_t count, float scale, int32_t zero_point, const float *in,
                       int8_t *out);
void micronet_dequantize(int32_t count, float scale, int32_t zero_point, const int8_t *in,
                         float *out);

/* SOFTMAX over the last axis; output scale 1 / 256, zero point -128.
 * (input_multiplier, input_left_shift) of min(beta * scale_in * 2^26, 2^31 - 1);
 * diff_min = -floor(31 * 2^26 / 2^input_left_shift). */
void micronet_softmax(const micronet_softmax_params *p, const int8_t *in, int8_t *out);

/* ------------------------------------------------------------------------------------------
 * Moving data
 * ------------------------------------------------------------------------------------------ */

/* GATHER on the channel axis: out[pixel][j] = in[pixel][index[j]]. */
void micronet_gather_channels(int32_t pixels, int32_t in_c, int32_t out_c, const uint16_t *index,
                              const int8_t *in, int8_t *out);

/* GATHER on any axis, by blocks of contiguous values: out[o][j] = in[o][index[j]], `in` is
 * [outer][in_n][block], `out` is [outer][out_n][block]. */
void micronet_gather_blocks(int32_t outer, int32_t in_n, int32_t out_n, int32_t block,
                            const uint16_t *index, const int8_t *in, int8_t *out);

/* CONCATENATION: `rows` times widths[0] values of inputs[0], widths[1] of inputs[1], ... */
void micronet_concatenate(int32_t rows, int32_t count, const int32_t *widths,
                          const int8_t *const *inputs, int8_t *out);

/* TRANSPOSE, SLICE, SPLIT, TILE and others: a walk through the input, the last of six axes fastest;
 * axis i takes size[i] steps of step[i] values each. in[start] comes first. */
#define MICRONET_MOVE_AXES 6
void micronet_move(const micronet_move_params *p, const int8_t *in, int8_t *out);

/* PAD of height, width and channels with the zero point. */
void micronet_pad(const micronet_pad_params *p, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif /* MICRONET_KERNELS_H_ */
