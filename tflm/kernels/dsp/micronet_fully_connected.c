/* FULLY_CONNECTED with per-tensor weights, for Armv7E-M. */
#include "micronet_dsp.h"

#if MICRONET_DSP

/* Four outputs at a time share the loads of x; where there is room x is widened and doubled once, in
 * the order in which SXTB16 unpacks the weights. The five instructions of four MACs are kept together: scheduled
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

/* The next four inputs less the zero point, in the order of SXTB16: as they were widened, or, where
 * there is no room for that, from bytes and not doubled. */
typedef struct {
  const int16_t *wide;
  const int8_t *bytes;
  micronet_pair minus;
} inputs;

MICRONET_INLINE micronet_four next_inputs(const int is_wide, inputs *x) {
  if (is_wide) return micronet_next_four(&x->wide);
  const uint32_t word = micronet_load4(x->bytes);
  const micronet_four next = {micronet_sxtab16(x->minus, word),
                              micronet_sxtab16_odd(x->minus, word)};
  x->bytes += 4;
  return next;
}

/* Input `i` of the one to three last ones. */
MICRONET_INLINE int32_t last_input(const int is_wide, const inputs *x, int i) {
  return is_wide ? x->wide[(i & 1) << 1 | i >> 1] : x->bytes[i] + micronet_low(x->minus);
}

MICRONET_INLINE void four_rows(const int is_wide, const micronet_fully_connected_params *p,
                               const inputs *start, const int8_t *w, const int32_t *doubled_bias,
                               int8_t *out) {
  const int32_t in_c = p->shape.in_c;
  const int8_t *const end = w + (in_c & ~3);
  const int8_t *w3 = w + 3 * in_c;
  inputs next = *start;
  int32_t acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
#define FOUR_INPUTS                                        \
  do {                                                     \
    const micronet_four x = next_inputs(is_wide, &next);   \
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
    const int32_t x = last_input(is_wide, &next, i);
    acc0 += w[i] * x;
    acc1 += w[in_c + i] * x;
    acc2 += w[2 * in_c + i] * x;
    acc3 += w3[i] * x;
  }
  const int32_t factor = is_wide ? 1 : 2;
  const int32_t multiplier = p->shape.multiplier, offset = p->shape.offset, shift = p->shape.shift;
  out[0] = micronet_requantize(doubled_bias[0] + factor * acc0, multiplier, offset, shift);
  out[1] = micronet_requantize(doubled_bias[1] + factor * acc1, multiplier, offset, shift);
  out[2] = micronet_requantize(doubled_bias[2] + factor * acc2, multiplier, offset, shift);
  out[3] = micronet_requantize(doubled_bias[3] + factor * acc3, multiplier, offset, shift);
}

static MICRONET_NOINLINE void four_rows_wide(const micronet_fully_connected_params *p,
                                             const inputs *x, const int8_t *w,
                                             const int32_t *doubled_bias, int8_t *out) {
  four_rows(1, p, x, w, doubled_bias, out);
}
static MICRONET_NOINLINE void four_rows_of_bytes(const micronet_fully_connected_params *p,
                                                 const inputs *x, const int8_t *w,
                                                 const int32_t *doubled_bias, int8_t *out) {
  four_rows(0, p, x, w, doubled_bias, out);
}

static int8_t one_row(const micronet_fully_connected_params *p, const inputs *start,
                      const int8_t *w, int32_t doubled_bias) {
  const int is_wide = start->wide != NULL;
  const int8_t *const end = w + (p->shape.in_c & ~3);
  inputs next = *start;
  int32_t acc = 0;
  while (w != end) acc = row_here(&w, 0, next_inputs(is_wide, &next), acc);
  for (int i = 0; i < (p->shape.in_c & 3); ++i) acc += w[i] * last_input(is_wide, &next, i);
  return micronet_requantize(doubled_bias + (is_wide ? acc : 2 * acc), p->shape.multiplier,
                             p->shape.offset, p->shape.shift);
}

void micronet_fully_connected(const micronet_fully_connected_params *p, const int8_t *in,
                              int8_t *out, void *scratch) {
  const int32_t zero_point = p->shape.input_zero_point;
  const inputs x = {(int16_t *)scratch, in, micronet_make_pair(-zero_point, -zero_point)};
  const int8_t *w = p->weights;
  int o = 0;
  if (scratch != NULL) micronet_widen(in, p->shape.in_c, zero_point, 1, 4, (int16_t *)scratch);
  for (; o + 4 <= p->shape.out_c; o += 4, w += 4 * p->shape.in_c)
    (scratch != NULL ? four_rows_wide : four_rows_of_bytes)(p, &x, w, p->doubled_bias + o, out + o);
  for (; o < p->shape.out_c; ++o, w += p->shape.in_c)
    out[o] = one_row(p, &x, w, p->doubled_bias[o]);
  micronet_apply_clamp(p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
