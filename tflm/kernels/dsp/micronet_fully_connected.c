/* FULLY_CONNECTED with per-tensor weights, for Armv7E-M. */
#include "micronet_dsp.h"

#if MICRONET_DSP

/* Four outputs at a time share the loads of x; x is widened and doubled once, in the order in which
 * SXTB16 unpacks the weights. The five instructions of four MACs are kept together: scheduled
 * apart, they need more registers than there are. */
#if MICRONET_ARM_DSP
#define ROW(name, address, moves)                                                              \
  MICRONET_INLINE int32_t name(const int8_t **w, int32_t step, micronet_four x, int32_t acc) { \
    uint32_t a, b;                                                                             \
    __asm__("ldr %[a], " address                                                               \
            "\n sxtb16 %[b], %[a]\n sxtb16 %[a], %[a], ror #8\n"                               \
            "smlad %[acc], %[b], %[x0], %[acc]\n smlad %[acc], %[a], %[x1], %[acc]\n"          \
            : [a] "=&r"(a), [b] "=&r"(b), [acc] "+&r"(acc), [w] "+&r"(*w)                      \
            : [x0] "r"(x.first), [x1] "r"(x.second), [step] "r"(step)                          \
            : "memory");                                                                       \
    return acc;                                                                                \
  }
ROW(row_here, "[%[w]], #4", 1)
ROW(row_one_below, "[%[w], %[step]]", 0)
ROW(row_two_below, "[%[w], %[step], lsl #1]", 0)
#else
#define ROW(name, rows, moves)                                                                 \
  MICRONET_INLINE int32_t name(const int8_t **w, int32_t step, micronet_four x, int32_t acc) { \
    const uint32_t word = micronet_load4(*w + (rows) * step);                                  \
    *w += 4 * (moves);                                                                         \
    acc = micronet_smlad(micronet_sxtb16(word), x.first, acc);                                 \
    return micronet_smlad(micronet_sxtb16_odd(word), x.second, acc);                           \
  }
ROW(row_here, 0, 1)
ROW(row_one_below, 1, 0)
ROW(row_two_below, 2, 0)
#endif
#undef ROW

static MICRONET_NOINLINE void four_rows(const micronet_fully_connected_params *p,
                                        const int16_t *wide, const int8_t *w,
                                        const int32_t *doubled_bias, int8_t *out) {
  const int32_t in_c = p->shape.in_c;
  const int8_t *const end = w + (in_c & ~3);
  const int8_t *w3 = w + 3 * in_c;
  int32_t acc0 = doubled_bias[0], acc1 = doubled_bias[1], acc2 = doubled_bias[2],
          acc3 = doubled_bias[3];
#define FOUR_INPUTS                                        \
  do {                                                     \
    const micronet_four x = micronet_next_four(&wide);     \
    acc3 = row_here(&w3, in_c, x, acc3);                   \
    acc2 = row_two_below(&w, in_c, x, acc2);               \
    acc1 = row_one_below(&w, in_c, x, acc1);               \
    acc0 = row_here(&w, in_c, x, acc0); /* and moves on */ \
  } while (0)
  if (in_c & 4) FOUR_INPUTS;
  while (w != end) {
    FOUR_INPUTS;
    FOUR_INPUTS;
  }
#undef FOUR_INPUTS
  for (int i = 0; i < (in_c & 3); ++i) {
    const int32_t x = wide[(i & 1) << 1 | i >> 1];
    acc0 += w[i] * x;
    acc1 += w[in_c + i] * x;
    acc2 += w[2 * in_c + i] * x;
    acc3 += w3[i] * x;
  }
  out[0] = micronet_requantize(acc0, p->shape.multiplier, p->shape.offset, p->shape.shift);
  out[1] = micronet_requantize(acc1, p->shape.multiplier, p->shape.offset, p->shape.shift);
  out[2] = micronet_requantize(acc2, p->shape.multiplier, p->shape.offset, p->shape.shift);
  out[3] = micronet_requantize(acc3, p->shape.multiplier, p->shape.offset, p->shape.shift);
}

static int8_t one_row(const micronet_fully_connected_params *p, const int16_t *wide,
                      const int8_t *w, int32_t acc0) {
  const int8_t *const end = w + (p->shape.in_c & ~3);
  while (w != end) acc0 = row_here(&w, 0, micronet_next_four(&wide), acc0);
  for (int i = 0; i < (p->shape.in_c & 3); ++i) acc0 += w[i] * wide[(i & 1) << 1 | i >> 1];
  return micronet_requantize(acc0, p->shape.multiplier, p->shape.offset, p->shape.shift);
}

void micronet_fully_connected(const micronet_fully_connected_params *p, const int8_t *in,
                              int8_t *out, void *scratch) {
  int16_t *wide = (int16_t *)scratch;
  micronet_widen(in, p->shape.in_c, p->shape.input_zero_point, 1, 4, wide);
  const int8_t *w = p->weights;
  int o = 0;
  for (; o + 4 <= p->shape.out_c; o += 4, w += 4 * p->shape.in_c)
    four_rows(p, wide, w, p->doubled_bias + o, out + o);
  for (; o < p->shape.out_c; ++o, w += p->shape.in_c)
    out[o] = one_row(p, wide, w, p->doubled_bias[o]);
  micronet_apply_clamp(p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
