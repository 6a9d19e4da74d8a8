/* Dynamic Shift-Max in one pass, for Armv7E-M. */
#include "micronet_dsp.h"
#include "micronet_dyshiftmax.h"

#if MICRONET_DSP

/* A coefficient widened: (q * multiplier + offset) >> 16, its zero point and rounding being in the
 * offset. */
typedef struct {
  int32_t multiplier, offset;
} widening;

MICRONET_INLINE int32_t widen(const widening *w, int8_t q) {
  return (q * w->multiplier + w->offset) >> 16;
}

/* Channel by channel, so that the coefficients stay in registers and any permutation costs nothing.
 * With u = {x, x2} in one register: y2 = b . u, and y1 = y2 + (a - b) . u, so the larger one is
 * y2 + max(0, (a - b) . u). Two pixels a turn; x, x2 and out share the index. */
#define APPLY(sum)                                                           \
  do {                                                                       \
    const micronet_pair u = micronet_pkhbt((uint32_t)x[i], (uint32_t)x2[i]); \
    out[i] = (int8_t)micronet_ssat8_asr12(sum);                              \
    i += step;                                                               \
  } while (0)
#define APPLY_TO_ALL(sum) \
  if (odd) APPLY(sum);    \
  while (i != 0) {        \
    APPLY(sum);           \
    APPLY(sum);           \
  }

void micronet_dyshiftmax_apply(const micronet_dyshiftmax_params *p, int32_t pixels,
                               const int8_t *in, const int8_t *const coefficients[4], int8_t *out) {
  const int32_t step = p->shape.channels, odd = pixels & 1, zero_point = p->shape.input_zero_point;
  const int32_t rounding = p->shape.output_zero_point * (1 << 12) + (1 << 11);
  widening wide[4];
  for (int k = 0; k < 4; ++k) {
    const micronet_coefficient *c = &p->shape.coefficient[k];
    wide[k].multiplier = c->multiplier;
    wide[k].offset = (1 << 15) - c->zero_point * c->multiplier;
  }
  in += pixels * step;
  out += pixels * step;
  for (int j = 0; j < step; ++j, ++out) {
    const int c = p->source ? p->source[j] : j;
    const int8_t *x = in + c;
    const int8_t *x2 = in + p->shift[c];
    const int32_t a = widen(&wide[0], coefficients[0][c]);
    const int32_t b = widen(&wide[1], coefficients[1][c]);
    int32_t i = -pixels * step; /* counting up to 0 saves a comparison */
    if (p->shape.branches == 1) {
      const micronet_pair ab = micronet_pkhbt((uint32_t)a, (uint32_t)b);
      const int32_t base = rounding - zero_point * (a + b);
      APPLY_TO_ALL(micronet_smlad(u, ab, base));
    } else {
      const int32_t a2 = widen(&wide[2], coefficients[2][c]);
      const int32_t b2 = widen(&wide[3], coefficients[3][c]);
      const micronet_pair ab = micronet_pkhbt((uint32_t)a2, (uint32_t)b2);
      const micronet_pair more = micronet_pkhbt((uint32_t)(a - a2), (uint32_t)(b - b2));
      const int32_t base = rounding - zero_point * (a2 + b2);
      const int32_t more_base = zero_point * (a2 + b2 - a - b);
      APPLY_TO_ALL(micronet_smlad(u, ab, base) +
                   micronet_positive_part(micronet_smlad(u, more, more_base)));
    }
  }
}

#undef APPLY
#undef APPLY_TO_ALL

#endif
