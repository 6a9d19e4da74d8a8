/* DEPTHWISE_CONV_2D 3x3, horizontal strides 1 and 2, any multiplier, for Helium. */
#include <string.h>

#include "micronet_depthwise.h"
#include "micronet_helium.h"

#if MICRONET_HELIUM

/* Channel by channel. A band of its lines goes to the scratch memory with the padding (the zero
 * point, which the bias takes back); four neighbouring outputs are computed at once, of nine loads
 * and nine multiplications by a number. With stride 2 a line has its even columns in its first half
 * and the odd ones in its second, so that neighbours lie side by side. A line has 16 or 64 values,
 * so that all of a window is at constant distances; what is wider is done in tiles. */
#define SHORT_LINE 16
#define LONG_LINE 64
/* Below that many columns the set-up of a channel costs more than it saves. */
#define SMALLEST_MAP 4
/* Offsets of eight columns are 16 bits wide. */
#define MOST_CHANNELS 4096

/* A band of outputs of one channel. */
typedef struct {
  int32_t w[9]; /* doubled */
  int32_t doubled_bias, multiplier, offset, shift;
  int32_t rows, columns;
  int32_t in_move; /* bytes from a row of outputs' lines to the next one's */
  int32_t out_step, out_pitch;
} band;

typedef void (*band_function)(const band *b, const int8_t *x, int8_t *out);

MICRONET_INLINE void band_of(const int line, const int second, const int third, const band *b,
                             const int8_t *x, int8_t *out) {
  const int32_t w0 = b->w[0], w1 = b->w[1], w2 = b->w[2], w3 = b->w[3], w4 = b->w[4], w5 = b->w[5],
                w6 = b->w[6], w7 = b->w[7], w8 = b->w[8];
  const int32x4_t multiplier = vdupq_n_s32(b->multiplier), offset = vdupq_n_s32(b->offset);
  const int32x4_t minus_shift = vdupq_n_s32(-b->shift), bias = vdupq_n_s32(b->doubled_bias);
  const uint32x4_t at = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)b->out_step);
  const int32_t rest = b->columns & 3, four = 4 * b->out_step;
  const mve_pred16_t lanes = vctp32q((uint32_t)rest);
  x += line; /* the middle one: all offsets are short */
  for (int32_t rows = b->rows; rows > 0; --rows, x += b->in_move, out += b->out_pitch) {
    const int8_t *v = x;
    int8_t *to = out;
#define SUMS                                                   \
  int32x4_t acc = vmlaq_n_s32(bias, vldrbq_s32(v - line), w0); \
  acc = vmlaq_n_s32(acc, vldrbq_s32(v - line + second), w1);   \
  acc = vmlaq_n_s32(acc, vldrbq_s32(v - line + third), w2);    \
  acc = vmlaq_n_s32(acc, vldrbq_s32(v), w3);                   \
  acc = vmlaq_n_s32(acc, vldrbq_s32(v + second), w4);          \
  acc = vmlaq_n_s32(acc, vldrbq_s32(v + third), w5);           \
  acc = vmlaq_n_s32(acc, vldrbq_s32(v + line), w6);            \
  acc = vmlaq_n_s32(acc, vldrbq_s32(v + line + second), w7);   \
  acc = vmlaq_n_s32(acc, vldrbq_s32(v + line + third), w8);    \
  acc = micronet_requantize4(acc, multiplier, offset, minus_shift)
    for (int32_t n = b->columns >> 2; n > 0; --n, v += 4, to += four) {
      SUMS;
      vstrbq_scatter_offset_s32(to, at, acc);
    }
    if (rest) {
      SUMS;
      vstrbq_scatter_offset_p_s32(to, at, acc, lanes);
    }
#undef SUMS
  }
}

#define BAND(name, line, second, third)                                             \
  static MICRONET_NOINLINE void name(const band *b, const int8_t *x, int8_t *out) { \
    band_of(line, second, third, b, x, out);                                        \
  }
BAND(short_band_of_stride_1, SHORT_LINE, 1, 2)
BAND(short_band_of_stride_2, SHORT_LINE, SHORT_LINE / 2, 1)
BAND(long_band_of_stride_1, LONG_LINE, 1, 2)
BAND(long_band_of_stride_2, LONG_LINE, LONG_LINE / 2, 1)
#undef BAND

/* `count` values of one channel, `step` bytes apart, of each of `rows` rows. */
static MICRONET_NOINLINE void copy_band(const int8_t *in, int32_t step, int32_t pitch,
                                        int32_t count, int32_t rows, int8_t *lines, int32_t line) {
  const uint16x8_t at = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)step);
  const mve_pred16_t lanes = vctp16q((uint32_t)(count & 7));
  for (; rows > 0; --rows, in += pitch, lines += line) {
    const int8_t *x = in;
    int8_t *to = lines;
    for (int32_t n = count >> 3; n > 0; --n, x += 8 * step, to += 8)
      vstrbq_s16(to, vldrbq_gather_offset_s16(x, at));
    if (count & 7) vstrbq_p_s16(to, vldrbq_gather_offset_z_s16(x, at, lanes), lanes);
  }
}

static void prepare_band(const micronet_conv_params *p, int32_t o, band *b) {
  const micronet_channel *record = &p->channels[o];
  const int8_t *w = p->weights + o;
  int32_t sum = 0;
  for (int t = 0; t < 9; ++t, w += p->shape.out_c) {
    b->w[t] = 2 * *w;
    sum += b->w[t];
  }
  b->doubled_bias = record->doubled_bias - p->shape.input_zero_point * sum;
  b->multiplier = record->multiplier;
  b->offset = record->offset;
  b->shift = record->shift;
}

/* The rows and columns of `b`, from row y and column x on. `lines` hold the padding where the image
 * does not reach. */
static void tile(const micronet_conv_params *p, int32_t y, int32_t x, band *b, const int8_t *in,
                 int8_t *out, int8_t *lines, int32_t line) {
  const int32_t in_c = p->shape.in_c, in_w = p->shape.in_w, out_c = p->shape.out_c;
  const int32_t stride = p->shape.stride_w;
  const int32_t top = y * p->shape.stride_h - p->shape.pad_top;
  const int32_t left = x * stride - p->shape.pad_left;
  const int32_t all = (b->rows - 1) * p->shape.stride_h + 3, wide = (b->columns - 1) * stride + 3;
  const int32_t first = top < 0 ? -top : 0;
  const int32_t end = top + all > p->shape.in_h ? p->shape.in_h - top : all;
  const int32_t first_x = left < 0 ? -left : 0;
  const int32_t end_x = left + wide > in_w ? in_w - left : wide;
  const band_function run = line == SHORT_LINE
                                ? (stride == 1 ? short_band_of_stride_1 : short_band_of_stride_2)
                                : (stride == 1 ? long_band_of_stride_1 : long_band_of_stride_2);
  int32_t copied = -1;
  for (int32_t o = 0; o < out_c; ++o) {
    const int32_t source = micronet_source(p, o);
    if (source != copied) {
      for (int32_t i = first_x; i < first_x + stride && i < end_x; ++i) {
        int8_t *to = lines + first * line;
        to += stride == 1 ? i : (i & 1) * (line / 2) + (i >> 1);
        copy_band(in + ((top + first) * in_w + left + i) * in_c + source, stride * in_c,
                  in_w * in_c, (end_x - i + stride - 1) / stride, end - first, to, line);
      }
      copied = source;
    }
    prepare_band(p, o, b);
    run(b, lines, out + y * b->out_pitch + x * out_c + o);
  }
}

micronet_status micronet_depthwise_3x3(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                       void *scratch, size_t scratch_bytes) {
  const int32_t stride_h = p->shape.stride_h, stride_w = p->shape.stride_w;
  const int32_t out_h = p->shape.out_h, out_w = p->shape.out_w;
  const int32_t line = MICRONET_DEPTHWISE_LINE(out_w, stride_w) / 2;
  const int32_t lines = (int32_t)scratch_bytes / line;
  if (p->shape.kernel_h != 3 || p->shape.kernel_w != 3 || stride_w > 2 || lines < 3 ||
      out_w < SMALLEST_MAP || p->shape.in_c > MOST_CHANNELS)
    return MICRONET_REFUSED;
  const int32_t most_columns = (line - 4) / stride_w, most_rows = (lines - 3) / stride_h + 1;
  for (int32_t x = 0; x < out_w; x += most_columns) {
    for (int32_t y = 0; y < out_h; y += most_rows) {
      const int32_t rows = out_h - y < most_rows ? out_h - y : most_rows;
      const int32_t columns = out_w - x < most_columns ? out_w - x : most_columns;
      band b = {
          {0}, 0, 0, 0, 0, rows, columns, stride_h * line, p->shape.out_c, out_w * p->shape.out_c};
      memset(scratch, p->shape.input_zero_point, (size_t)(((rows - 1) * stride_h + 3) * line));
      tile(p, y, x, &b, in, out, (int8_t *)scratch, line);
    }
  }
  return MICRONET_OK;
}

#undef SHORT_LINE
#undef LONG_LINE
#undef SMALLEST_MAP
#undef MOST_CHANNELS

#endif
