/* CONV_2D 1x1 with groups: the micro-factorized pointwise convolution. */
#include "micronet_helium.h"

#if MICRONET_USE_REFERENCE

/* out[pixel][o] = requantized(doubled_bias[o] + sum over the group's inputs i of
 *                       doubled_weights[o][i'] * (in[pixel][group + i] - zero point)), i' being i with the
 *                             middle two of every four exchanged */
void micronet_conv2d_grouped_1x1(const micronet_conv2d_grouped_1x1_params *p, const int8_t *in,
                                 int8_t *out, void *scratch) {
  const int group_in = p->in_c / p->groups;
  const int group_out = p->out_c / p->groups;
  const int row = MICRONET_ROUND_UP_4(group_in);
  (void)scratch;
  for (int32_t pixel = 0; pixel < p->pixels; ++pixel) {
    for (int o = 0; o < p->out_c; ++o) {
      const micronet_channel *record = &p->channels[o];
      const int16_t *w = p->doubled_weights + (size_t)o * row;
      const int8_t *v = in + (size_t)pixel * p->in_c + o / group_out * group_in;
      int32_t acc = record->doubled_bias;
      for (int i = 0; i < group_in; ++i)
        acc += w[(i & ~3) | (i & 1) << 1 | (i & 2) >> 1] * (v[i] - p->input_zero_point);
      out[(size_t)pixel * p->out_c + o] =
          micronet_requantize(acc, record->multiplier, record->offset, record->shift);
    }
  }
  micronet_apply_clamp(p->pixels * p->out_c, p->clamp_min, p->clamp_max, out);
}

#elif MICRONET_USE_HELIUM

/* Up to four outputs of one group, pixel after pixel, so that their records stay in registers.
 * Eight MACs an instruction; four where a row of weights has an odd number of fours. `row` is 0
 * where it is not known when compiling. */
typedef struct {
  int32_t pixels, inputs, count, in_step, out_step;
  int16_t zero_point;
  const micronet_channel *record;
} group_shape;

MICRONET_INLINE void four_outputs(const int row, const group_shape *g, const int8_t *in,
                                  const int16_t *w0, int8_t *out) {
  static const uint16_t order[8] = {0, 2, 1, 3, 4, 6, 5, 7}; /* that of the weights */
  const uint16x8_t at8 = vldrhq_u16(order);
  const uint32x4_t at4 = vldrhq_u32(order);
  const int32_t length = row ? row : MICRONET_ROUND_UP_4(g->inputs), count = g->count;
  const int32_t in_step = g->in_step, out_step = g->out_step;
  const int16_t zero_point = g->zero_point;
  /* Where there are fewer than four outputs, the last one's weights are read again. */
  const int16_t *w1 = count > 1 ? w0 + length : w0;
  const int16_t *w2 = count > 2 ? w1 + length : w1, *w3 = count > 3 ? w2 + length : w2;
  const micronet_records r = micronet_load_records(g->record, count);
  const mve_pred16_t lanes = vctp32q((uint32_t)count);
  for (int32_t n = g->pixels; n > 0; --n) {
    int32_t sums[4] = {0, 0, 0, 0};
    int32_t i = 0;
    for (; i + 8 <= length; i += 8) {
      int16x8_t x;
      if (row) {
        x = vldrbq_gather_offset_s16(in + i, at8);
      } else { /* a group whose inputs are no multiple of four ends inside of a vector */
        x = vldrbq_gather_offset_z_s16(
            in + i, at8, (mve_pred16_t)~vcmpcsq_n_u16(at8, (uint16_t)(g->inputs - i)));
      }
      x = vsubq_n_s16(x, zero_point);
      sums[0] = vmladavaq_s16(sums[0], x, vldrhq_s16(w0 + i));
      sums[1] = vmladavaq_s16(sums[1], x, vldrhq_s16(w1 + i));
      sums[2] = vmladavaq_s16(sums[2], x, vldrhq_s16(w2 + i));
      sums[3] = vmladavaq_s16(sums[3], x, vldrhq_s16(w3 + i));
    }
    if (length & 4) {
      int32x4_t x;
      if (row) {
        x = vldrbq_gather_offset_s32(in + i, at4);
      } else {
        x = vldrbq_gather_offset_z_s32(
            in + i, at4, (mve_pred16_t)~vcmpcsq_n_u32(at4, (uint32_t)(g->inputs - i)));
      }
      x = vsubq_n_s32(x, zero_point);
      sums[0] = vmladavaq_s32(sums[0], x, vldrhq_s32(w0 + i));
      sums[1] = vmladavaq_s32(sums[1], x, vldrhq_s32(w1 + i));
      sums[2] = vmladavaq_s32(sums[2], x, vldrhq_s32(w2 + i));
      sums[3] = vmladavaq_s32(sums[3], x, vldrhq_s32(w3 + i));
    }
    const int32x4_t doubled_acc = vaddq_s32(vldrwq_s32(sums), r.doubled_bias);
    vstrbq_p_s32(out, micronet_requantize4(doubled_acc, r.multiplier, r.offset, r.minus_shift),
                 lanes);
    in += in_step;
    out += out_step;
  }
}

#define FOUR_OUTPUTS(name, row)                                                                \
  static MICRONET_NOINLINE void name(const group_shape *g, const int8_t *in, const int16_t *w, \
                                     int8_t *out) {                                            \
    four_outputs(row, g, in, w, out);                                                          \
  }
FOUR_OUTPUTS(four_outputs_of_4, 4)
FOUR_OUTPUTS(four_outputs_of_8, 8)
FOUR_OUTPUTS(four_outputs_of_16, 16)
FOUR_OUTPUTS(four_outputs_of_any, 0)

void micronet_conv2d_grouped_1x1(const micronet_conv2d_grouped_1x1_params *p, const int8_t *in,
                                 int8_t *out, void *scratch) {
  const int32_t inputs = p->in_c / p->groups, outputs = p->out_c / p->groups;
  void (*const run)(const group_shape *, const int8_t *, const int16_t *, int8_t *) =
      inputs == 4    ? four_outputs_of_4
      : inputs == 8  ? four_outputs_of_8
      : inputs == 16 ? four_outputs_of_16
                     : four_outputs_of_any;
  group_shape g = {p->pixels, inputs, 4, p->in_c, p->out_c, p->input_zero_point, p->channels};
  const int16_t *w = p->doubled_weights;
  int8_t *to = out;
  (void)scratch;
  for (int32_t group = 0; group < p->groups; ++group, in += inputs) {
    for (int32_t left = outputs; left > 0; left -= 4) {
      g.count = left < 4 ? left : 4;
      run(&g, in, w, to);
      w += g.count * MICRONET_ROUND_UP_4(inputs);
      g.record += g.count;
      to += g.count;
    }
  }
  micronet_apply_clamp(p->pixels * p->out_c, p->clamp_min, p->clamp_max, out);
}

#elif MICRONET_USE_DSP

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
  const int group_in = p->in_c / p->groups;
  const int group_out = p->out_c / p->groups;
  const int32_t row = group_out * MICRONET_ROUND_UP_4(group_in);
  const micronet_pair minus_zero_point =
      micronet_make_pair(-p->input_zero_point, -p->input_zero_point);
  int8_t *const start = out;
  for (int32_t pixel = 0; pixel < p->pixels; ++pixel) {
    const int16_t *w = p->doubled_weights;
    const micronet_channel *record = p->channels;
    for (int group = 0; group < p->groups; ++group) {
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
          group_of_any(in, group_in, p->input_zero_point, w, record, out, out_end,
                       (int16_t *)scratch);
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
