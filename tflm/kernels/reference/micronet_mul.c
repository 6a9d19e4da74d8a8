/* MUL: gates, as in squeeze-and-excite. Armv7E-M has no better form. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE || MICRONET_DSP

/* out = requantized((in1 - zero point) * (in2 - zero point)) */
static void mul(const micronet_mul_params *p, int32_t count, const int8_t *in1, const int8_t *in2,
                int8_t *out) {
  const int32_t multiplier = p->multiplier, offset = p->offset, shift = p->shift;
  const int32_t zero1 = p->in1_zero_point, doubled_zero2 = 2 * p->in2_zero_point;
  const int8_t *const end = out + count;
  while (out != end) {
    const int32_t doubled_acc = (*in1++ - zero1) * (2 * *in2++ - doubled_zero2);
    *out++ = micronet_requantize(doubled_acc, multiplier, offset, shift);
  }
}

void micronet_mul(const micronet_mul_params *p, const int8_t *in1, const int8_t *in2, int8_t *out) {
  const int32_t run = p->in1_count < p->in2_count ? p->in1_count : p->in2_count;
  for (int32_t i = 0; i < p->count; i += run) {
    mul(p, run, in1, in2, out + i);
    if (p->in1_count != run) in1 += run;
    if (p->in2_count != run) in2 += run;
  }
  micronet_apply_clamp(p->count, p->clamp_min, p->clamp_max, out);
}

#endif
