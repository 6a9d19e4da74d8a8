/* CONV_2D with any kernel, one group. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[y][x][o] = requantized(doubled_bias[o] + sum over taps inside of the image and inputs i of
 *                            2 * w[o][ky][kx][i] * (in[y'][x'][i] - zero point))
 * with y' = y * stride - pad + ky, x' = x * stride - pad + kx */
void micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  int8_t *o_ptr = out;
  (void)scratch;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      const int8_t *w = p->weights;
      for (int o = 0; o < p->out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->doubled_bias;
        for (int ky = 0; ky < p->kernel_h; ++ky) {
          const int in_y = y * p->stride_h - p->pad_top + ky;
          for (int kx = 0; kx < p->kernel_w; ++kx, w += p->in_c) {
            const int in_x = x * p->stride_w - p->pad_left + kx;
            if (in_y < 0 || in_y >= p->in_h || in_x < 0 || in_x >= p->in_w) continue;
            const int8_t *v = in + ((size_t)in_y * p->in_w + in_x) * p->in_c;
            for (int i = 0; i < p->in_c; ++i) acc += 2 * w[i] * (v[i] - p->input_zero_point);
          }
        }
        *o_ptr++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
  }
  micronet_apply_clamp((int32_t)(o_ptr - out), p->clamp_min, p->clamp_max, out);
}

#endif
