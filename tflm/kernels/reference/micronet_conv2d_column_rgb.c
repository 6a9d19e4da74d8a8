/* The first layer: CONV_2D kx1 from three channels. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[y][x][o] = requantized(doubled_bias[o] + sum over rows inside of the image and the 3 inputs i of
 *                            2 * w[o][ky][i] * (in[y * stride - pad + ky][x][i] - zero point)) */
void micronet_conv2d_column_rgb(const micronet_conv_params *p, const int8_t *in, int8_t *out) {
  for (int y = 0; y < p->shape.out_h; ++y) {
    int8_t *row = out + (size_t)y * p->shape.out_w * p->shape.out_c;
    for (int x = 0; x < p->shape.out_w; ++x) {
      for (int o = 0; o < p->shape.out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->doubled_bias;
        for (int ky = 0; ky < p->shape.kernel_h; ++ky) {
          const int in_y = y * p->shape.stride_h - p->shape.pad_top + ky;
          if (in_y < 0 || in_y >= p->shape.in_h) continue;
          const int8_t *v = in + ((size_t)in_y * p->shape.in_w + x) * 3;
          const int8_t *w = p->weights + (o * p->shape.kernel_h + ky) * 3;
          for (int i = 0; i < 3; ++i) acc += 2 * w[i] * (v[i] - p->shape.input_zero_point);
        }
        row[(size_t)x * p->shape.out_c + o] =
            micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
    micronet_apply_clamp((int32_t)p->shape.out_w * p->shape.out_c, p->shape.clamp_min,
                         p->shape.clamp_max, row);
  }
}

#endif
