/* The first layer: CONV_2D kx1 from three channels. */
#include "micronet_helium.h"

#if MICRONET_USE_REFERENCE

/* out[y][x][o] = requantized(doubled_bias[o] + sum over rows inside of the image and the 3 inputs i of
 *                            2 * w[o][ky][i] * (in[y * stride - pad + ky][x][i] - zero point)) */
void micronet_conv2d_column_rgb(const micronet_conv_params *p, const int8_t *in, int8_t *out) {
  for (int y = 0; y < p->out_h; ++y) {
    int8_t *row = out + (size_t)y * p->out_w * p->out_c;
    for (int x = 0; x < p->out_w; ++x) {
      for (int o = 0; o < p->out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->doubled_bias;
        for (int ky = 0; ky < p->kernel_h; ++ky) {
          const int in_y = y * p->stride_h - p->pad_top + ky;
          if (in_y < 0 || in_y >= p->in_h) continue;
          const int8_t *v = in + ((size_t)in_y * p->in_w + x) * 3;
          const int8_t *w = p->weights + (o * p->kernel_h + ky) * 3;
          for (int i = 0; i < 3; ++i) acc += 2 * w[i] * (v[i] - p->input_zero_point);
        }
        row[(size_t)x * p->out_c + o] =
            micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
    micronet_apply_clamp((int32_t)p->out_w * p->out_c, p->clamp_min, p->clamp_max, row);
  }
}

#elif MICRONET_USE_HELIUM

/* Four pixels of a row at once. The input's zero point goes into the bias, of the rows that are
 * inside of the image. */
void micronet_conv2d_column_rgb(const micronet_conv_params *p, const int8_t *in, int8_t *out) {
  const int32_t in_pitch = 3 * p->in_w;
  const uint32x4_t pixels = vidupq_n_u32(0, 1);
  const uint32x4_t in_at = vmulq_n_u32(pixels, 3), out_at = vmulq_n_u32(pixels, (uint32_t)p->out_c);
  for (int y = 0; y < p->out_h; ++y, out += p->out_w * p->out_c) {
    const int start = y * p->stride_h - p->pad_top;
    const int first = start < 0 ? -start : 0;
    const int end = start + p->kernel_h > p->in_h ? p->in_h - start : p->kernel_h;
    for (int o = 0; o < p->out_c; ++o) {
      const micronet_channel *record = &p->channels[o];
      const int32x4_t multiplier = vdupq_n_s32(record->multiplier),
                      offset = vdupq_n_s32(record->offset);
      const int32x4_t minus_shift = vdupq_n_s32(-record->shift);
      const int8_t *const weights = p->weights + 3 * (o * p->kernel_h + first);
      int32_t w2[3 * MICRONET_MOST_COLUMN_ROWS], doubled_bias = record->doubled_bias;
      for (int i = 0; i < 3 * (end - first); ++i) {
        w2[i] = 2 * weights[i];
        doubled_bias -= p->input_zero_point * w2[i];
      }
      const int8_t *x = in + (start + first) * in_pitch;
      int8_t *to = out + o;
      const int32_t rows = end - first, out_move = 4 * p->out_c;
      int32_t left = p->out_w;
#define COLUMN_ROW(load, v, w)                   \
  acc = vmlaq_n_s32(acc, load(v), (w)[0]);       \
  acc = vmlaq_n_s32(acc, load((v) + 1), (w)[1]); \
  acc = vmlaq_n_s32(acc, load((v) + 2), (w)[2])
#define COLUMN_SUM(load)                              \
  int32x4_t acc = vdupq_n_s32(doubled_bias);          \
  if (rows == 3) {                                    \
    COLUMN_ROW(load, x, w2);                          \
    COLUMN_ROW(load, x + in_pitch, w2 + 3);           \
    COLUMN_ROW(load, x + 2 * in_pitch, w2 + 6);       \
  } else {                                            \
    for (int32_t r = 0; r < rows; ++r) {              \
      COLUMN_ROW(load, x + r * in_pitch, w2 + 3 * r); \
    }                                                 \
  }
#define LOAD_ALL(from) vldrbq_gather_offset_s32(from, in_at)
#define LOAD_LANES(from) vldrbq_gather_offset_z_s32(from, in_at, lanes)
      for (; left >= 4; left -= 4, x += 12, to += out_move) {
        COLUMN_SUM(LOAD_ALL);
        vstrbq_scatter_offset_s32(to, out_at,
                                  micronet_requantize4(acc, multiplier, offset, minus_shift));
      }
      if (left > 0) {
        const mve_pred16_t lanes = vctp32q((uint32_t)left);
        COLUMN_SUM(LOAD_LANES);
        vstrbq_scatter_offset_p_s32(
            to, out_at, micronet_requantize4(acc, multiplier, offset, minus_shift), lanes);
      }
    }
    micronet_apply_clamp((int32_t)p->out_w * p->out_c, p->clamp_min, p->clamp_max, out);
  }
}

#elif MICRONET_USE_DSP

/* Weights of one channel and input row: those of the outer two colours, and that of the middle
 * one. */
typedef struct {
  micronet_pair outer, middle;
} row_weights;

/* One row and channel. Four pixels are three words: bytes 0 3 6 9 are the first colour, 1 4 7 10
 * the second. */
static void column_row(const row_weights *w, int rows, int32_t in_pitch, int32_t zero_point,
                       const micronet_channel *record, int32_t width, const int8_t *in, int8_t *out,
                       int32_t out_step) {
  const micronet_pair minus = micronet_make_pair(-zero_point, -zero_point);
  for (; width >= 4; width -= 4, in += 12) {
    int32_t acc0 = record->doubled_bias, acc1 = acc0, acc2 = acc0, acc3 = acc0;
    const int8_t *x = in;
    for (const row_weights *v = w; v != w + rows; ++v, x += in_pitch) {
      const micronet_pair outer = v->outer, middle = v->middle;
      uint32_t word = micronet_load4(x);
      micronet_pair even = micronet_sxtab16(minus, word), odd = micronet_sxtab16_odd(minus, word);
      acc0 = micronet_smlad(even, outer, acc0);
      acc0 = micronet_smlabb(odd, middle, acc0);
      acc1 = micronet_smlatb(odd, outer, acc1);
      word = micronet_load4(x + 4);
      even = micronet_sxtab16(minus, word), odd = micronet_sxtab16_odd(minus, word);
      acc1 = micronet_smlabb(even, middle, acc1);
      acc1 = micronet_smlabt(odd, outer, acc1);
      acc2 = micronet_smlatb(even, outer, acc2);
      acc2 = micronet_smlatb(odd, middle, acc2);
      word = micronet_load4(x + 8);
      even = micronet_sxtab16(minus, word), odd = micronet_sxtab16_odd(minus, word);
      acc2 = micronet_smlabt(even, outer, acc2);
      acc3 = micronet_smlad(odd, outer, acc3);
      acc3 = micronet_smlatb(even, middle, acc3);
    }
    const int32_t multiplier = record->multiplier, offset = record->offset, shift = record->shift;
    out[0] = micronet_requantize(acc0, multiplier, offset, shift);
    out[out_step] = micronet_requantize(acc1, multiplier, offset, shift);
    out[2 * out_step] = micronet_requantize(acc2, multiplier, offset, shift);
    out[3 * out_step] = micronet_requantize(acc3, multiplier, offset, shift);
    out += 4 * out_step;
  }
  for (; width > 0; --width, in += 3, out += out_step) {
    int32_t acc = record->doubled_bias;
    for (int r = 0; r < rows; ++r) {
      const int8_t *x = in + r * in_pitch;
      acc += micronet_low(w[r].outer) * (x[0] - zero_point) +
             micronet_low(w[r].middle) * (x[1] - zero_point) +
             micronet_high(w[r].outer) * (x[2] - zero_point);
    }
    *out = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
  }
}

void micronet_conv2d_column_rgb(const micronet_conv_params *p, const int8_t *in, int8_t *out) {
  const int32_t in_pitch = 3 * p->in_w;
  for (int y = 0; y < p->out_h; ++y, out += p->out_w * p->out_c) {
    const int start = y * p->stride_h - p->pad_top;
    const int first = start < 0 ? -start : 0;
    const int end = start + p->kernel_h > p->in_h ? p->in_h - start : p->kernel_h;
    const int8_t *w = p->weights;
    for (int o = 0; o < p->out_c; ++o, w += 3 * p->kernel_h) {
      row_weights rows[MICRONET_MOST_COLUMN_ROWS];
      for (int r = first; r < end; ++r) {
        rows[r - first].outer = micronet_make_pair(2 * w[3 * r], 2 * w[3 * r + 2]);
        rows[r - first].middle = micronet_make_pair(2 * w[3 * r + 1], 0);
      }
      column_row(rows, end - first, in_pitch, p->input_zero_point, &p->channels[o], p->out_w,
                 in + (start + first) * in_pitch, out + o, p->out_c);
    }
    micronet_apply_clamp((int32_t)p->out_w * p->out_c, p->clamp_min, p->clamp_max, out);
  }
}

#endif
