/* Convolutions with the flatbuffer's own numbers: no prepared records, no limit on scales, slow. */
#include "micronet_arithmetic.h"

static int8_t finish(const micronet_conv_plain_params *p, int channel, int32_t acc) {
  if (p->bias) acc = micronet_wrap_add(acc, p->bias[channel]);
  acc = micronet_scale(acc, p->multiplier[channel], p->shift[channel]);
  acc = micronet_wrap_add(acc, p->shape.output_zero_point);
  return (int8_t)micronet_clamp_value(acc, p->shape.clamp_min, p->shape.clamp_max);
}

/* out[y][x][o] = requantized(bias[o] + sum over taps and the group's inputs i of
 *                            w[o][ky][kx][i] * (in[y'][x'][group + i] - zero point))
 * with y' = y * stride - pad + ky * dilation, x' likewise */
void micronet_conv2d_plain(const micronet_conv_plain_params *p, const int8_t *in, int8_t *out) {
  const int group_in = p->shape.in_c / p->shape.groups;
  const int group_out = p->shape.out_c / p->shape.groups;
  for (int y = 0; y < p->shape.out_h; ++y) {
    for (int x = 0; x < p->shape.out_w; ++x) {
      for (int o = 0; o < p->shape.out_c; ++o) {
        const int8_t *w = p->weights + (size_t)o * p->shape.kernel_h * p->shape.kernel_w * group_in;
        int32_t acc = 0;
        for (int ky = 0; ky < p->shape.kernel_h; ++ky) {
          const int in_y = y * p->shape.stride_h - p->shape.pad_top + ky * p->shape.dilation_h;
          for (int kx = 0; kx < p->shape.kernel_w; ++kx, w += group_in) {
            const int in_x = x * p->shape.stride_w - p->shape.pad_left + kx * p->shape.dilation_w;
            if (in_y < 0 || in_y >= p->shape.in_h || in_x < 0 || in_x >= p->shape.in_w) continue;
            const int8_t *v = in + ((size_t)in_y * p->shape.in_w + in_x) * p->shape.in_c +
                              o / group_out * group_in;
            for (int i = 0; i < group_in; ++i) {
              acc = micronet_wrap_add(acc, w[i] * (v[i] - p->shape.input_zero_point));
            }
          }
        }
        *out++ = finish(p, o, acc);
      }
    }
  }
}

/* out[y][x][o] = requantized(bias[o] + sum over taps of w[ky][kx][o] * (in[..][..][o / multiplier]
 * - zero point)) */
void micronet_depthwise_plain(const micronet_conv_plain_params *p, const int8_t *in, int8_t *out) {
  const int multiplier = p->shape.out_c / p->shape.in_c;
  for (int y = 0; y < p->shape.out_h; ++y) {
    for (int x = 0; x < p->shape.out_w; ++x) {
      for (int o = 0; o < p->shape.out_c; ++o) {
        int32_t acc = 0;
        for (int ky = 0; ky < p->shape.kernel_h; ++ky) {
          const int in_y = y * p->shape.stride_h - p->shape.pad_top + ky * p->shape.dilation_h;
          for (int kx = 0; kx < p->shape.kernel_w; ++kx) {
            const int in_x = x * p->shape.stride_w - p->shape.pad_left + kx * p->shape.dilation_w;
            if (in_y < 0 || in_y >= p->shape.in_h || in_x < 0 || in_x >= p->shape.in_w) continue;
            acc += p->weights[((size_t)ky * p->shape.kernel_w + kx) * p->shape.out_c + o] *
                   (in[((size_t)in_y * p->shape.in_w + in_x) * p->shape.in_c + o / multiplier] -
                    p->shape.input_zero_point);
          }
        }
        *out++ = finish(p, o, acc);
      }
    }
  }
}
