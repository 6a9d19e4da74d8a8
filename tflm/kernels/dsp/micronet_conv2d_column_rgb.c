/* The first layer: CONV_2D kx1 from three channels, for Armv7E-M. */
#include "micronet_conv2d.h"
#include "micronet_dsp.h"

#if MICRONET_DSP

/* Weights of one channel and input row: those of the outer two colours, and that of the middle
 * one. */
typedef struct {
  micronet_pair outer, middle;
} row_weights;

/* One row and channel. Four pixels are three words: bytes 0 3 6 9 are the first colour, 1 4 7 10
 * the second. The analyser, silenced twice, does not see that the caller fills w[0 .. rows - 1]. */
static void column_row(const row_weights *w, int rows, int32_t in_pitch, int32_t zero_point,
                       const micronet_channel *record, int32_t width, const int8_t *in, int8_t *out,
                       int32_t out_step) {
  const micronet_pair minus = micronet_make_pair(-zero_point, -zero_point);
  for (; width >= 4; width -= 4, in += 12) {
    int32_t acc0 = record->doubled_bias, acc1 = acc0, acc2 = acc0, acc3 = acc0;
    const int8_t *x = in;
    for (const row_weights *v = w; v != w + rows; ++v, x += in_pitch) {
      /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign) */
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
      /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
      acc += micronet_low(w[r].outer) * (x[0] - zero_point) +
             micronet_low(w[r].middle) * (x[1] - zero_point) +
             micronet_high(w[r].outer) * (x[2] - zero_point);
    }
    *out = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
  }
}

micronet_status micronet_conv2d_column_rgb(const micronet_conv_params *p, const int8_t *in,
                                           int8_t *out) {
  if (!micronet_is_column_rgb(p)) return MICRONET_REFUSED;
  const int32_t in_pitch = 3 * p->shape.in_w;
  for (int y = 0; y < p->shape.out_h; ++y, out += p->shape.out_w * p->shape.out_c) {
    const int start = y * p->shape.stride_h - p->shape.pad_top;
    const int first = start < 0 ? -start : 0;
    const int end =
        start + p->shape.kernel_h > p->shape.in_h ? p->shape.in_h - start : p->shape.kernel_h;
    const int8_t *w = p->weights;
    for (int o = 0; o < p->shape.out_c; ++o, w += 3 * p->shape.kernel_h) {
      row_weights rows[MICRONET_MOST_COLUMN_ROWS];
      for (int r = first; r < end; ++r) {
        rows[r - first].outer = micronet_make_pair(2 * w[3 * r], 2 * w[3 * r + 2]);
        rows[r - first].middle = micronet_make_pair(2 * w[3 * r + 1], 0);
      }
      column_row(rows, end - first, in_pitch, p->shape.input_zero_point, &p->channels[o],
                 p->shape.out_w, in + (start + first) * in_pitch, out + o, p->shape.out_c);
    }
    micronet_apply_clamp((int32_t)p->shape.out_w * p->shape.out_c, p->shape.clamp_min,
                         p->shape.clamp_max, out);
  }
  return MICRONET_OK;
}

#endif
