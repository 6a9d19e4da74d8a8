/* CONV_2D 1x1 with groups, the micro-factorized pointwise convolution, for Helium. */
#include "micronet_helium.h"

#if MICRONET_HELIUM

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
#undef FOUR_OUTPUTS

void micronet_conv2d_grouped_1x1(const micronet_conv2d_grouped_1x1_params *p, const int8_t *in,
                                 int8_t *out, void *scratch, size_t scratch_bytes) {
  const int32_t inputs = p->shape.in_c / p->shape.groups,
                outputs = p->shape.out_c / p->shape.groups;
  void (*const run)(const group_shape *, const int8_t *, const int16_t *, int8_t *) =
      inputs == 4    ? four_outputs_of_4
      : inputs == 8  ? four_outputs_of_8
      : inputs == 16 ? four_outputs_of_16
                     : four_outputs_of_any;
  group_shape g = {p->shape.pixels,           inputs,     4, p->shape.in_c, p->shape.out_c,
                   p->shape.input_zero_point, p->channels};
  const int16_t *w = p->doubled_weights;
  int8_t *to = out;
  (void)scratch;
  (void)scratch_bytes;
  for (int32_t group = 0; group < p->shape.groups; ++group, in += inputs) {
    for (int32_t left = outputs; left > 0; left -= 4) {
      g.count = left < 4 ? left : 4;
      run(&g, in, w, to);
      w += g.count * MICRONET_ROUND_UP_4(inputs);
      g.record += g.count;
      to += g.count;
    }
  }
  micronet_apply_clamp(p->shape.pixels * p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max,
                       out);
}

#endif
