/* Four neighbouring channels of one pixel at once, for Armv7E-M. */
#ifndef MICRONET_DEPTHWISE_QUAD_H_
#define MICRONET_DEPTHWISE_QUAD_H_

#include "micronet_depthwise.h"
#include "micronet_dsp.h"

typedef struct {
  int32_t sum0, sum1, sum2, sum3; /* of four neighbouring channels */
} quad;

/* As micronet_next_channel, but by two LDRD: the sums leave no four registers in rising order. */
MICRONET_INLINE micronet_channel next_of_quad(const micronet_channel **p) {
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

MICRONET_INLINE int8_t *finish_quad(const quad *q, const micronet_channel **record, int8_t *out) {
  micronet_channel c = next_of_quad(record);
  *out++ = micronet_requantize(c.doubled_bias + q->sum0 * 2, c.multiplier, c.offset, c.shift);
  c = next_of_quad(record);
  *out++ = micronet_requantize(c.doubled_bias + q->sum1 * 2, c.multiplier, c.offset, c.shift);
  c = next_of_quad(record);
  *out++ = micronet_requantize(c.doubled_bias + q->sum2 * 2, c.multiplier, c.offset, c.shift);
  c = next_of_quad(record);
  *out++ = micronet_requantize(c.doubled_bias + q->sum3 * 2, c.multiplier, c.offset, c.shift);
  return out;
}

#endif /* MICRONET_DEPTHWISE_QUAD_H_ */
