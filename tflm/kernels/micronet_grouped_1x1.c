/* CONV_2D 1x1 with groups: the micro-factorized pointwise convolution. */
#include "micronet_simd.h"

#if MICRONET_USE_REFERENCE

/* out[pixel][o] = requantized(bias2[o] + sum over the group's inputs i of
 *                             weights2[o][i'] * (in[pixel][group + i] - zero point)), i' being i with the
 *                             middle two of every four exchanged */
void micronet_conv2d_grouped_1x1(const micronet_grouped *p, const int8_t *in, int8_t *out, void *scratch) {
  const int group_in = p->in_c / p->groups;
  const int group_out = p->out_c / p->groups;
  const int row = MICRONET_ROUND_UP_4(group_in);
  (void)scratch;
  for (int32_t pixel = 0; pixel < p->pixels; ++pixel) {
    for (int o = 0; o < p->out_c; ++o) {
      const micronet_channel *record = &p->channels[o];
      const int16_t *w = p->weights2 + (size_t)o * row;
      const int8_t *v = in + (size_t)pixel * p->in_c + o / group_out * group_in;
      int32_t acc = record->bias2;
      for (int i = 0; i < group_in; ++i) acc += w[(i & ~3) | (i & 1) << 1 | (i & 2) >> 1] * (v[i] - p->input_zero_point);
      out[(size_t)pixel * p->out_c + o] =
          micronet_requantize(acc, record->multiplier, record->offset, record->shift);
    }
  }
  micronet_apply_clamp(p->pixels * p->out_c, p->clamp_min, p->clamp_max, out);
}

#else

/* One pixel and group with `fours` * 4 inputs in registers: for each output a row of weights, then its record. */
MICRONET_INLINE void group_in_registers(const int fours, const int8_t *in, micronet_pair minus_zero_point,
                                        const int16_t *w, const micronet_channel *record, int8_t *out,
                                        const int8_t *out_end) {
  micronet_pair x[8];
  for (int i = 0; i < fours; ++i) {
    const uint32_t word = micronet_load4(in + 4 * i);
    x[2 * i] = micronet_sxtab16(minus_zero_point, word);
    x[2 * i + 1] = micronet_sxtab16_odd(minus_zero_point, word);
  }
  do {
    int32_t acc = record->bias2;
    for (int i = 0; i < fours; ++i) {
      const micronet_four pairs = micronet_load_four(w + 4 * i);
      acc = micronet_smlad(pairs.first, x[2 * i], acc);
      acc = micronet_smlad(pairs.second, x[2 * i + 1], acc);
    }
    w += 4 * fours;
    *out++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
    ++record;
  } while (out != out_end);
}

#define GROUP_OF(name, fours)                                                                      \
  static MICRONET_NOINLINE void name(const int8_t *in, micronet_pair minus_zero_point,             \
                                     const int16_t *w, const micronet_channel *record,             \
                                     int8_t *out, const int8_t *out_end) {                         \
    group_in_registers(fours, in, minus_zero_point, w, record, out, out_end);                      \
  }
GROUP_OF(group_of_4, 1)
GROUP_OF(group_of_8, 2)
GROUP_OF(group_of_12, 3)

/* Any number of inputs: x - zero point goes to scratch, in the order of the weights. */
static MICRONET_NOINLINE void group_of_any(int inputs, const int8_t *in, micronet_pair minus_zero_point,
                                           const int16_t *w, const micronet_channel *record, int8_t *out,
                                           const int8_t *out_end, int16_t *x) {
  const int row = MICRONET_ROUND_UP_4(inputs);
  micronet_widen(in, inputs, minus_zero_point, x);
  do {
    const int32_t acc = micronet_dot(w, x, row, record->bias2);
    w += row;
    *out++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
    ++record;
  } while (out != out_end);
}

void micronet_conv2d_grouped_1x1(const micronet_grouped *p, const int8_t *in, int8_t *out, void *scratch) {
  const int group_in = p->in_c / p->groups;
  const int group_out = p->out_c / p->groups;
  const int32_t row = group_out * MICRONET_ROUND_UP_4(group_in);
  const micronet_pair minus_zero_point = micronet_make_pair(-p->input_zero_point, -p->input_zero_point);
  int8_t *const start = out;
  for (int32_t pixel = 0; pixel < p->pixels; ++pixel) {
    const int16_t *w = p->weights2;
    const micronet_channel *record = p->channels;
    for (int group = 0; group < p->groups; ++group) {
      const int8_t *out_end = out + group_out;
      switch (group_in) {
        case 4: group_of_4(in, minus_zero_point, w, record, out, out_end); break;
        case 8: group_of_8(in, minus_zero_point, w, record, out, out_end); break;
        case 12: group_of_12(in, minus_zero_point, w, record, out, out_end); break;
        default: group_of_any(group_in, in, minus_zero_point, w, record, out, out_end, (int16_t *)scratch);
      }
      in += group_in;
      out += group_out;
      w += row;
      record += group_out;
    }
  }
  micronet_apply_clamp(p->pixels * p->out_c, p->clamp_min, p->clamp_max, start);
}

#endif
