/* CONV_2D 1x1 with groups, the micro-factorized pointwise convolution. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[pixel][o] = requantized(doubled_bias[o] + sum over the group's inputs i of
 *                       doubled_weights[o][i'] * (in[pixel][group + i] - zero point)), i' being i with the
 *                             middle two of every four exchanged */
void micronet_conv2d_grouped_1x1(const micronet_conv2d_grouped_1x1_params *p, const int8_t *in,
                                 int8_t *out, void *scratch) {
  const int group_in = p->shape.in_c / p->shape.groups;
  const int group_out = p->shape.out_c / p->shape.groups;
  const int row = MICRONET_ROUND_UP_4(group_in);
  (void)scratch;
  for (int32_t pixel = 0; pixel < p->shape.pixels; ++pixel) {
    for (int o = 0; o < p->shape.out_c; ++o) {
      const micronet_channel *record = &p->channels[o];
      const int16_t *w = p->doubled_weights + (size_t)o * row;
      const int8_t *v = in + (size_t)pixel * p->shape.in_c + o / group_out * group_in;
      int32_t acc = record->doubled_bias;
      for (int i = 0; i < group_in; ++i)
        acc += w[(i & ~3) | (i & 1) << 1 | (i & 2) >> 1] * (v[i] - p->shape.input_zero_point);
      out[(size_t)pixel * p->shape.out_c + o] =
          micronet_requantize(acc, record->multiplier, record->offset, record->shift);
    }
  }
  micronet_apply_clamp(p->shape.pixels * p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max,
                       out);
}

#endif
