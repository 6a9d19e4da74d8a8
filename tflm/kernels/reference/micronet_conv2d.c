/* CONV_2D with any kernel, one group. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[y][x][o] = requantized(doubled_bias[o] + sum over taps inside of the image and inputs i of
 *                            2 * w[o][ky][kx][i] * (in[y'][x'][i] - zero point))
 * with y' = y * stride - pad + ky, x' = x * stride - pad + kx */
micronet_status micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                void *scratch, size_t scratch_bytes) {
  const micronet_conv_shape *const s = &p->shape;
  int8_t *o_ptr = out;
  (void)scratch;
  (void)scratch_bytes;
  for (int y = 0; y < s->out_h; ++y) {
    for (int x = 0; x < s->out_w; ++x) {
      const int8_t *w = p->weights;
      for (int o = 0; o < s->out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->doubled_bias;
        for (int ky = 0; ky < s->kernel_h; ++ky) {
          const int in_y = y * s->stride_h - s->pad_top + ky;
          for (int kx = 0; kx < s->kernel_w; ++kx, w += s->in_c) {
            const int in_x = x * s->stride_w - s->pad_left + kx;
            if (in_y < 0 || in_y >= s->in_h || in_x < 0 || in_x >= s->in_w) continue;
            const int8_t *v = in + ((ptrdiff_t)in_y * s->in_w + in_x) * s->in_c;
            for (int i = 0; i < s->in_c; ++i) acc += 2 * w[i] * (v[i] - s->input_zero_point);
          }
        }
        *o_ptr++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
  }
  micronet_apply_clamp((int32_t)(o_ptr - out), s->clamp_min, s->clamp_max, out);
  return MICRONET_OK;
}

#endif
