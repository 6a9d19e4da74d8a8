/* DEPTHWISE_CONV_2D. */
#include "micronet_depthwise.h"

#if MICRONET_REFERENCE

/* out[y][x][o] = requantized(doubled_bias[o] + sum over taps inside of the image of
 *                            2 * w[ky][kx][o] * (in[y'][x'][source[o]] - zero point))
 * with y' = y * stride - pad + ky, x' = x * stride - pad + kx */
void micronet_depthwise(const micronet_conv_params *p, const int8_t *in, int8_t *out) {
  int8_t *o_ptr = out;
  for (int y = 0; y < p->shape.out_h; ++y) {
    for (int x = 0; x < p->shape.out_w; ++x) {
      for (int o = 0; o < p->shape.out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->doubled_bias;
        for (int ky = 0; ky < p->shape.kernel_h; ++ky) {
          const int in_y = y * p->shape.stride_h - p->shape.pad_top + ky;
          for (int kx = 0; kx < p->shape.kernel_w; ++kx) {
            const int in_x = x * p->shape.stride_w - p->shape.pad_left + kx;
            if (in_y < 0 || in_y >= p->shape.in_h || in_x < 0 || in_x >= p->shape.in_w) continue;
            const int8_t v =
                in[((size_t)in_y * p->shape.in_w + in_x) * p->shape.in_c + micronet_source(p, o)];
            acc += 2 * p->weights[(ky * p->shape.kernel_w + kx) * p->shape.out_c + o] *
                   (v - p->shape.input_zero_point);
          }
        }
        *o_ptr++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
  }
  micronet_apply_clamp((int32_t)(o_ptr - out), p->shape.clamp_min, p->shape.clamp_max, out);
}

void micronet_depthwise_1d(const micronet_conv_params *p, const int8_t *in, int8_t *out) {
  micronet_depthwise(p, in, out);
}

#endif
