/* CONV_2D 1x1 with groups: the micro-factorized pointwise convolution. */
#include "micronet_helium.h"

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

#elif MICRONET_USE_HELIUM

/* Eight MACs an instruction, four where a row has an odd number of fours. Groups of up to 16 inputs (in the order of the
 * weights) stay in registers. */
typedef struct {
  int16x8_t eight, more;
  int32x4_t four;
} group_input;

MICRONET_INLINE int32_t row_sum(const int row, group_input x, const int16_t *w) {
  int32_t sum = 0;
  if (row >= 8) sum = vmladavq_s16(x.eight, vldrhq_s16(w));
  if (row == 16) sum = vmladavaq_s16(sum, x.more, vldrhq_s16(w + 8));
  if (row == 4) sum = vmladavq_s32(x.four, vldrhq_s32(w));
  if (row == 12) sum = vmladavaq_s32(sum, x.four, vldrhq_s32(w + 8));
  return sum;
}

#define GROUP_OF(name, row)                                                                       \
  static MICRONET_NOINLINE void name(group_input x, const int16_t *w, const micronet_channel *record, \
                                     int8_t *out, int32_t outputs) {                              \
    for (; outputs >= 4; outputs -= 4, record += 4, out += 4, w += 4 * (row)) {                   \
      const int32_t sums[4] = {row_sum(row, x, w), row_sum(row, x, w + (row)),                    \
                               row_sum(row, x, w + 2 * (row)), row_sum(row, x, w + 3 * (row))};   \
      const micronet_records r = micronet_load_records(record, 4);                                \
      const int32x4_t acc2 = vaddq_s32(vldrwq_s32(sums), r.bias2);                                \
      vstrbq_s32(out, micronet_requantize4(acc2, r.multiplier, r.offset, r.minus_shift));         \
    }                                                                                             \
    for (; outputs > 0; --outputs, ++record, w += (row)) {                                        \
      const int32_t acc2 = micronet_wrap_add(record->bias2, row_sum(row, x, w));                  \
      *out++ = micronet_requantize(acc2, record->multiplier, record->offset, record->shift);      \
    }                                                                                             \
  }
GROUP_OF(group_of_4, 4)
GROUP_OF(group_of_8, 8)
GROUP_OF(group_of_12, 12)
GROUP_OF(group_of_16, 16)

static MICRONET_NOINLINE void group_of_any(const int8_t *in, int32_t inputs, int32_t zero_point, const int16_t *w,
                                           const micronet_channel *record, int8_t *out, int32_t outputs, int16_t *wide) {
  const int32_t row = MICRONET_ROUND_UP_4(inputs);
  micronet_widen(in, inputs, zero_point, 0, 4, wide);
  for (int32_t left = outputs; left > 0; left -= 4, record += 4, out += 4) {
    int32_t sums[4] = {0, 0, 0, 0};
    for (int32_t o = 0; o < 4 && o < left; ++o, w += row) {
      int32_t sum = 0, i = 0;
      for (; i + 8 <= row; i += 8) sum = vmladavaq_s16(sum, vldrhq_s16(wide + i), vldrhq_s16(w + i));
      if (i < row) {
        const mve_pred16_t half = vctp16q(4);
        sum = vmladavaq_s16(sum, vldrhq_z_s16(wide + i, half), vldrhq_z_s16(w + i, half));
      }
      sums[o] = sum;
    }
    const micronet_records r = micronet_load_records(record, left);
    const int32x4_t acc2 = vaddq_s32(vldrwq_s32(sums), r.bias2);
    micronet_store4(out, micronet_requantize4(acc2, r.multiplier, r.offset, r.minus_shift), left);
  }
}

void micronet_conv2d_grouped_1x1(const micronet_grouped *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t inputs = p->in_c / p->groups, outputs = p->out_c / p->groups, row = MICRONET_ROUND_UP_4(inputs);
  const int in_registers = inputs == row && row <= 16;
  /* 0 2 1 3, 4 6 5 7: the order of the weights */
  static const uint16_t order[8] = {0, 2, 1, 3, 4, 6, 5, 7};
  const uint16x8_t at8 = vldrhq_u16(order);
  const uint32x4_t at4 = vldrhq_u32(order);
  int8_t *const start = out;
  for (int32_t pixel = 0; pixel < p->pixels; ++pixel) {
    const int16_t *w = p->weights2;
    const micronet_channel *record = p->channels;
    for (int32_t group = 0; group < p->groups; ++group) {
      if (in_registers) {
        group_input x = {vdupq_n_s16(0), vdupq_n_s16(0), vdupq_n_s32(0)};
        if (row == 4) {
          x.four = vsubq_n_s32(vldrbq_gather_offset_s32(in, at4), p->input_zero_point);
          group_of_4(x, w, record, out, outputs);
        } else {
          x.eight = vsubq_n_s16(vldrbq_gather_offset_s16(in, at8), p->input_zero_point);
          if (row == 8) {
            group_of_8(x, w, record, out, outputs);
          } else if (row == 12) {
            x.four = vsubq_n_s32(vldrbq_gather_offset_s32(in + 8, at4), p->input_zero_point);
            group_of_12(x, w, record, out, outputs);
          } else {
            x.more = vsubq_n_s16(vldrbq_gather_offset_s16(in + 8, at8), p->input_zero_point);
            group_of_16(x, w, record, out, outputs);
          }
        }
      } else {
        group_of_any(in, inputs, p->input_zero_point, w, record, out, outputs, (int16_t *)scratch);
      }
      in += inputs;
      out += outputs;
      w += outputs * row;
      record += outputs;
    }
  }
  micronet_apply_clamp(p->pixels * p->out_c, p->clamp_min, p->clamp_max, start);
}

#elif MICRONET_USE_DSP

/* Groups of 4, 8 and 12 inputs: one pixel's group in registers, and for each output a row of weights and a record. */
#define WIDEN(i)                                                                                  \
  const uint32_t word##i = micronet_load4(in + 4 * i);                                            \
  const micronet_pair even##i = micronet_sxtab16(minus_zero_point, word##i);                      \
  const micronet_pair odd##i = micronet_sxtab16_odd(minus_zero_point, word##i)
#define FOUR(i)                                                                                   \
  const micronet_four w##i = micronet_next_four(&w);                                              \
  acc = micronet_smlad(w##i.first, even##i, acc);                                                 \
  acc = micronet_smlad(w##i.second, odd##i, acc)
#define GROUP_OF(name, widen, fours)                                                              \
  static MICRONET_NOINLINE void name(const int8_t *in, micronet_pair minus_zero_point,            \
                                     const int16_t *w, const micronet_channel *record,            \
                                     int8_t *out, const int8_t *out_end) {                        \
    widen;                                                                                        \
    do {                                                                                          \
      const micronet_channel c = micronet_next_channel(&record);                                  \
      int32_t acc = c.bias2;                                                                      \
      fours;                                                                                      \
      *out++ = micronet_requantize(acc, c.multiplier, c.offset, c.shift);                         \
    } while (out != out_end);                                                                     \
  }
GROUP_OF(group_of_4, WIDEN(0), FOUR(0))
GROUP_OF(group_of_8, WIDEN(0); WIDEN(1), FOUR(0); FOUR(1))
GROUP_OF(group_of_12, WIDEN(0); WIDEN(1); WIDEN(2), FOUR(0); FOUR(1); FOUR(2))

/* Any number of inputs: x - zero point goes to scratch, in the order of the weights; two outputs share its loads. */
static MICRONET_NOINLINE void group_of_any(const int8_t *in, int32_t inputs, int32_t zero_point, const int16_t *w,
                                           const micronet_channel *record, int8_t *out, const int8_t *out_end,
                                           int16_t *wide) {
  const int32_t row = MICRONET_ROUND_UP_4(inputs);
  micronet_widen(in, inputs, zero_point, 0, 4, wide);
  while (out != out_end) {
    /* An odd output at the end is computed twice. */
    const int pair = out + 1 != out_end;
    const int16_t *w2 = pair ? w + row : w;
    const int16_t *x = wide;
    const int16_t *const x_end = wide + row;
    int32_t acc = record[0].bias2, acc2 = record[pair].bias2;
    do {
      const micronet_four v = micronet_next_four(&x);
      const micronet_four a = micronet_next_four(&w);
      acc = micronet_smlad(a.first, v.first, acc);
      acc = micronet_smlad(a.second, v.second, acc);
      const micronet_four b = micronet_next_four(&w2);
      acc2 = micronet_smlad(b.first, v.first, acc2);
      acc2 = micronet_smlad(b.second, v.second, acc2);
    } while (x != x_end);
    w = w2;
    *out++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
    ++record;
    if (pair) {
      *out++ = micronet_requantize(acc2, record->multiplier, record->offset, record->shift);
      ++record;
    }
  }
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
        default: group_of_any(in, group_in, p->input_zero_point, w, record, out, out_end, (int16_t *)scratch);
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
