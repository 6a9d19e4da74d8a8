/* Four neighbouring channels of one pixel at once, for Armv7E-M. */
#ifndef MICRONET_DEPTHWISE_QUAD_H_
#define MICRONET_DEPTHWISE_QUAD_H_

#include "micronet_depthwise.h"

#if MICRONET_USE_DSP

typedef struct {
  int32_t sum0, sum1, sum2, sum3; /* of four neighbouring channels */
} quad;

MICRONET_INLINE int8_t *finish_quad(const quad *q, const micronet_channel **record, int8_t *out) {
  micronet_channel c = micronet_next_channel(record);
  *out++ = micronet_requantize(c.bias2 + q->sum0 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_channel(record);
  *out++ = micronet_requantize(c.bias2 + q->sum1 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_channel(record);
  *out++ = micronet_requantize(c.bias2 + q->sum2 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_channel(record);
  *out++ = micronet_requantize(c.bias2 + q->sum3 * 2, c.multiplier, c.offset, c.shift);
  return out;
}

#endif
#endif /* MICRONET_DEPTHWISE_QUAD_H_ */
