/* CONV_2D 1x1 with groups, the micro-factorized pointwise convolution, for Armv7E-M. */
#include "micronet_dsp.h"

#if MICRONET_DSP

/* Groups of 4, 8 and 12 inputs: one pixel's group in registers, and for each output a row of
 * weights and a record. */
#define WIDEN(i)                                                             \
  const uint32_t word##i = micronet_load4(in + 4 * i);                       \
  const micronet_pair even##i = micronet_sxtab16(minus_zero_point, word##i); \
  const micronet_pair odd##i = micronet_sxtab16_odd(minus_zero_point, word##i)
#define FOUR(i)                                      \
  const micronet_four w##i = micronet_next_four(&w); \
  acc = micronet_smlad(w##i.first, even##i, acc);    \
  acc = micronet_smlad(w##i.second, odd##i, acc)
#define GROUP_OF(name, widen, fours)                                                   \
  static MICRONET_NOINLINE void name(const int8_t *in, micronet_pair minus_zero_point, \
                                     const int16_t *w, const micronet_channel *record, \
                                     int8_t *out, const int8_t *out_end) {             \
    widen;                                                                             \
    do {                                                                               \
      const micronet_channel c = micronet_next_channel(&record);                       \
      int32_t acc = c.doubled_bias;                                                    \
      fours;                                                                           \
      *out++ = micronet_requantize(acc, c.multiplier, c.offset, c.shift);              \
    } while (out != out_end);                                                          \
  }
GROUP_OF(group_of_4, WIDEN(0), FOUR(0))
GROUP_OF(group_of_8, WIDEN(0); WIDEN(1), FOUR(0); FOUR(1))
GROUP_OF(group_of_12, WIDEN(0); WIDEN(1); WIDEN(2), FOUR(0); FOUR(1); FOUR(2))
#undef WIDEN
#undef FOUR
#undef GROUP_OF

/* Any number of inputs: x - zero point goes to scratch, in the order of the weights; two outputs
 * share its loads. */
static MICRONET_NOINLINE void group_of_any(const int8_t *in, int32_t inputs, int32_t zero_point,
                                           const int16_t *w, const micronet_channel *record,
                                           int8_t *out, const int8_t *out_end, int16_t *wide) {
  const int32_t row = MICRONET_ROUND_UP_4(inputs);
  micronet_widen(in, inputs, zero_point, 0, 4, wide);
  while (out != out_end) {
    /* An odd output at the end is computed twice. */
    const int pair = out + 1 != out_end;
    const int16_t *w2 = pair ? w + row : w;
    const int16_t *x = wide;
    const int16_t *const x_end = wide + row;
    int32_t acc = record[0].doubled_bias, next_acc = record[pair].doubled_bias;
    do {
      const micronet_four v = micronet_next_four(&x);
      const micronet_four a = micronet_next_four(&w);
      acc = micronet_smlad(a.first, v.first, acc);
      acc = micronet_smlad(a.second, v.second, acc);
      const micronet_four b = micronet_next_four(&w2);
      next_acc = micronet_smlad(b.first, v.first, next_acc);
      next_acc = micronet_smlad(b.second, v.second, next_acc);
    } while (x != x_end);
    w = w2;
    *out++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
    ++record;
    if (pair) {
      *out++ = micronet_requantize(next_acc, record->multiplier, record->offset, record->shift);
      ++record;
    }
  }
}

void micronet_conv2d_grouped_1x1(const micronet_conv2d_grouped_1x1_params *p, const int8_t *in,
                                 int8_t *out, void *scratch) {
  const int group_in = p->shape.in_c / p->shape.groups;
  const int group_out = p->shape.out_c / p->shape.groups;
  const int32_t row = group_out * MICRONET_ROUND_UP_4(group_in);
  const micronet_pair minus_zero_point =
      micronet_make_pair(-p->shape.input_zero_point, -p->shape.input_zero_point);
  int8_t *const start = out;
  for (int32_t pixel = 0; pixel < p->shape.pixels; ++pixel) {
    const int16_t *w = p->doubled_weights;
    const micronet_channel *record = p->channels;
    for (int group = 0; group < p->shape.groups; ++group) {
      const int8_t *out_end = out + group_out;
      switch (group_in) {
        case 4:
          group_of_4(in, minus_zero_point, w, record, out, out_end);
          break;
        case 8:
          group_of_8(in, minus_zero_point, w, record, out, out_end);
          break;
        case 12:
          group_of_12(in, minus_zero_point, w, record, out, out_end);
          break;
        default:
          group_of_any(in, group_in, p->shape.input_zero_point, w, record, out, out_end,
                       (int16_t *)scratch);
      }
      in += group_in;
      out += group_out;
      w += row;
      record += group_out;
    }
  }
  micronet_apply_clamp(p->shape.pixels * p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max,
                       start);
}

#endif
