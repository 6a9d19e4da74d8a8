/* CONV_2D with any kernel, one group. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[y][x][o] = requantized(doubled_bias[o] + sum over taps inside of the image and inputs i of
 *                            2 * w[o][ky][kx][i] * (in[y'][x'][i] - zero point))
 * with y' = y * stride - pad + ky, x' = x * stride - pad + kx */
void micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  int8_t *o_ptr = out;
  (void)scratch;
  for (int y = 0; y < p->shape.out_h; ++y) {
    for (int x = 0; x < p->shape.out_w; ++x) {
      const int8_t *w = p->weights;
      for (int o = 0; o < p->shape.out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->doubled_bias;
        for (int ky = 0; ky < p->shape.kernel_h; ++ky) {
          const int in_y = y * p->shape.stride_h - p->shape.pad_top + ky;
          for (int kx = 0; kx < p->shape.kernel_w; ++kx, w += p->shape.in_c) {
            const int in_x = x * p->shape.stride_w - p->shape.pad_left + kx;
            if (in_y < 0 || in_y >= p->shape.in_h || in_x < 0 || in_x >= p->shape.in_w) continue;
            const int8_t *v = in + ((size_t)in_y * p->shape.in_w + in_x) * p->shape.in_c;
            for (int i = 0; i < p->shape.in_c; ++i)
              acc += 2 * w[i] * (v[i] - p->shape.input_zero_point);
          }
        }
        *o_ptr++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
  }
  micronet_apply_clamp((int32_t)(o_ptr - out), p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
