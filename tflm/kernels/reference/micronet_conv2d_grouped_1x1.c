/* CONV_2D 1x1 with groups, the micro-factorized pointwise convolution. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[pixel][o] = requantized(doubled_bias[o] + sum over the group's inputs i of
 *                             doubled_weights[o][i'] * (in[pixel][group + i] - zero point))
 * with i' being i, the middle two of every four exchanged */
void micronet_conv2d_grouped_1x1(const micronet_conv2d_grouped_1x1_params *p, const int8_t *in,
                                 int8_t *out, void *scratch, size_t scratch_bytes) {
  const micronet_conv2d_grouped_1x1_shape *const s = &p->shape;
  const int group_in = s->in_c / s->groups;
  const int group_out = s->out_c / s->groups;
  const int row = MICRONET_ROUND_UP_4(group_in);
  (void)scratch;
  (void)scratch_bytes;
  for (int32_t pixel = 0; pixel < s->pixels; ++pixel) {
    for (int o = 0; o < s->out_c; ++o) {
      const micronet_channel *record = &p->channels[o];
      const int16_t *w = p->doubled_weights + (ptrdiff_t)o * row;
      const int8_t *v = in + (ptrdiff_t)pixel * s->in_c + o / group_out * group_in;
      int32_t acc = record->doubled_bias;
      for (int i = 0; i < group_in; ++i)
        acc += w[(i & ~3) | (i & 1) << 1 | (i & 2) >> 1] * (v[i] - s->input_zero_point);
      out[(ptrdiff_t)pixel * s->out_c + o] =
          micronet_requantize(acc, record->multiplier, record->offset, record->shift);
    }
  }
  micronet_apply_clamp(s->pixels * s->out_c, s->clamp_min, s->clamp_max, out);
}

#endif
