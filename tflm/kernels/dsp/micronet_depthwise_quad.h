/* Four neighbouring channels of one pixel at once, for Armv7E-M. */
#ifndef MICRONET_DEPTHWISE_QUAD_H_
#define MICRONET_DEPTHWISE_QUAD_H_

#include "micronet_depthwise.h"
#include "micronet_dsp.h"

typedef struct {
  int32_t sum0, sum1, sum2, sum3; /* of four neighbouring channels */
} micronet_quad;

/* One tap of four channels with an input each: ten instructions on registers a to d, kept together
 * because the compiler's scheduling of them needs more registers than there are. The indices end an
 * address: "]" or ", %[xs]]". */
#if MICRONET_ARM_DSP
#define MICRONET_QUAD_LOAD(x_index, w_index)                              \
  "ldr %[a], [%[x]" x_index "\n ldr %[b], [%[w]" w_index                  \
  "\n"                                                                    \
  "sxtab16 %[c], %[minus], %[a]\n sxtab16 %[a], %[minus], %[a], ror #8\n" \
  "sxtb16 %[d], %[b]\n sxtb16 %[b], %[b], ror #8\n"
#define MICRONET_QUAD_TAP(x_index, w_index)                             \
  MICRONET_QUAD_LOAD(x_index, w_index)                                  \
  "smlabb %[s0], %[c], %[d], %[s0]\n smlabb %[s1], %[a], %[b], %[s1]\n" \
  "smlatt %[s2], %[c], %[d], %[s2]\n smlatt %[s3], %[a], %[b], %[s3]\n"
#endif
MICRONET_INLINE void micronet_quad_tap(micronet_quad *q, const int8_t *x, const int8_t *w,
                                       micronet_pair minus) {
  const uint32_t inputs = micronet_load4(x), weights = micronet_load4(w);
  const micronet_pair even = micronet_sxtab16(minus, inputs);
  const micronet_pair odd = micronet_sxtab16_odd(minus, inputs);
  const micronet_pair w_even = micronet_sxtb16(weights), w_odd = micronet_sxtb16_odd(weights);
  q->sum0 = micronet_smlabb(even, w_even, q->sum0);
  q->sum1 = micronet_smlabb(odd, w_odd, q->sum1);
  q->sum2 = micronet_smlatt(even, w_even, q->sum2);
  q->sum3 = micronet_smlatt(odd, w_odd, q->sum3);
}

/* As micronet_next_channel, but by two LDRD: the sums leave no four registers in rising order. */
MICRONET_INLINE micronet_channel micronet_next_of_quad(const micronet_channel **p) {
#if MICRONET_ARM_DSP
  micronet_channel c;
  __asm__("ldrd %0, %1, [%4], #8\n ldrd %2, %3, [%4], #8"
          : "=&r"(c.doubled_bias), "=&r"(c.multiplier), "=&r"(c.offset), "=&r"(c.shift), "+r"(*p)
          :
          : "memory");
  return c;
#else
  return *(*p)++;
#endif
}

MICRONET_INLINE int8_t *micronet_finish_quad(const micronet_quad *q,
                                             const micronet_channel **record, int8_t *out) {
  micronet_channel c = micronet_next_of_quad(record);
  *out++ = micronet_requantize(c.doubled_bias + q->sum0 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_of_quad(record);
  *out++ = micronet_requantize(c.doubled_bias + q->sum1 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_of_quad(record);
  *out++ = micronet_requantize(c.doubled_bias + q->sum2 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_of_quad(record);
  *out++ = micronet_requantize(c.doubled_bias + q->sum3 * 2, c.multiplier, c.offset, c.shift);
  return out;
}

#endif /* MICRONET_DEPTHWISE_QUAD_H_ */
