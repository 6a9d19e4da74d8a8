/* Convolutions with the flatbuffer's own numbers: no prepared records, no limit on scales, slow. */
#include "micronet_arithmetic.h"

static int8_t finish(const micronet_conv_plain_params *p, int channel, int32_t acc) {
  const micronet_conv_plain_shape *const s = &p->shape;
  if (p->bias) acc = micronet_wrap_add(acc, p->bias[channel]);
  acc = micronet_scale(acc, p->multiplier[channel], p->shift[channel]);
  acc = micronet_wrap_add(acc, s->output_zero_point);
  return (int8_t)micronet_clamp_value(acc, s->clamp_min, s->clamp_max);
}

/* out[y][x][o] = requantized(bias[o] + sum over taps and the group's inputs i of
 *                            w[o][ky][kx][i] * (in[y'][x'][group + i] - zero point))
 * with y' = y * stride - pad + ky * dilation, x' likewise */
void micronet_conv2d_plain(const micronet_conv_plain_params *p, const int8_t *in, int8_t *out) {
  const micronet_conv_plain_shape *const s = &p->shape;
  const int group_in = s->in_c / s->groups;
  const int group_out = s->out_c / s->groups;
  for (int y = 0; y < s->out_h; ++y) {
    for (int x = 0; x < s->out_w; ++x) {
      for (int o = 0; o < s->out_c; ++o) {
        const int8_t *w = p->weights + (ptrdiff_t)o * s->kernel_h * s->kernel_w * group_in;
        int32_t acc = 0;
        for (int ky = 0; ky < s->kernel_h; ++ky) {
          const int in_y = y * s->stride_h - s->pad_top + ky * s->dilation_h;
          for (int kx = 0; kx < s->kernel_w; ++kx, w += group_in) {
            const int in_x = x * s->stride_w - s->pad_left + kx * s->dilation_w;
            if (in_y < 0 || in_y >= s->in_h || in_x < 0 || in_x >= s->in_w) continue;
            const int8_t *v =
                in + ((ptrdiff_t)in_y * s->in_w + in_x) * s->in_c + o / group_out * group_in;
            for (int i = 0; i < group_in; ++i) {
              acc = micronet_wrap_add(acc, w[i] * (v[i] - s->input_zero_point));
            }
          }
        }
        *out++ = finish(p, o, acc);
      }
    }
  }
}

/* out[y][x][o] = requantized(bias[o] + sum over taps of
 *                            w[ky][kx][o] * (in[y'][x'][o / multiplier] - zero point)) */
void micronet_depthwise_plain(const micronet_conv_plain_params *p, const int8_t *in, int8_t *out) {
  const micronet_conv_plain_shape *const s = &p->shape;
  const int multiplier = s->out_c / s->in_c;
  for (int y = 0; y < s->out_h; ++y) {
    for (int x = 0; x < s->out_w; ++x) {
      for (int o = 0; o < s->out_c; ++o) {
        int32_t acc = 0;
        for (int ky = 0; ky < s->kernel_h; ++ky) {
          const int in_y = y * s->stride_h - s->pad_top + ky * s->dilation_h;
          for (int kx = 0; kx < s->kernel_w; ++kx) {
            const int in_x = x * s->stride_w - s->pad_left + kx * s->dilation_w;
            if (in_y < 0 || in_y >= s->in_h || in_x < 0 || in_x >= s->in_w) continue;
            const int32_t w = p->weights[((ptrdiff_t)ky * s->kernel_w + kx) * s->out_c + o];
            const int32_t v = in[((ptrdiff_t)in_y * s->in_w + in_x) * s->in_c + o / multiplier];
            acc = micronet_wrap_add(acc, w * (v - s->input_zero_point));
          }
        }
        *out++ = finish(p, o, acc);
      }
    }
  }
}
