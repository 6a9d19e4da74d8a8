/* The first layer: CONV_2D kx1 from three channels. */
#include "micronet_conv2d.h"

#if MICRONET_REFERENCE

/* out[y][x][o] = requantized(doubled_bias[o] + sum over rows inside of the image and inputs i of
 *                            2 * w[o][ky][i] * (in[y * stride - pad + ky][x][i] - zero point)) */
micronet_status micronet_conv2d_column_rgb(const micronet_conv_params *p, const int8_t *in,
                                           int8_t *out) {
  const micronet_conv_shape *const s = &p->shape;
  if (!micronet_is_column_rgb(p)) return MICRONET_REFUSED;
  for (int y = 0; y < s->out_h; ++y) {
    int8_t *row = out + (ptrdiff_t)y * s->out_w * s->out_c;
    for (int x = 0; x < s->out_w; ++x) {
      for (int o = 0; o < s->out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->doubled_bias;
        for (int ky = 0; ky < s->kernel_h; ++ky) {
          const int in_y = y * s->stride_h - s->pad_top + ky;
          if (in_y < 0 || in_y >= s->in_h) continue;
          const int8_t *v = in + ((ptrdiff_t)in_y * s->in_w + x) * 3;
          const int8_t *w = p->weights + (o * s->kernel_h + ky) * 3;
          for (int i = 0; i < 3; ++i) acc += 2 * w[i] * (v[i] - s->input_zero_point);
        }
        row[(ptrdiff_t)x * s->out_c + o] =
            micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
    micronet_apply_clamp((int32_t)s->out_w * s->out_c, s->clamp_min, s->clamp_max, row);
  }
  return MICRONET_OK;
}

#endif
