/* The first layer: CONV_2D kx1 from three channels. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

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

#endif
