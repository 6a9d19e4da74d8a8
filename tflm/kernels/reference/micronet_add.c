/* ADD: residual connections. Armv7E-M has no better form. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE || MICRONET_DSP

/* out = requantized(in1 * 2^20 + table[in2]) */
static void add(const micronet_add_params *p, int32_t count, const int8_t *in1, const int8_t *in2,
                int8_t *out) {
  const int32_t multiplier = p->shape.multiplier, offset = p->shape.offset, shift = p->shape.shift;
  const int32_t *middle = p->table + 128;
  const int8_t *const end = out + count;
  while (out != end) {
    const int32_t doubled_acc = middle[*in2++] + *in1++ * (1 << 20);
    *out++ = micronet_requantize(doubled_acc, multiplier, offset, shift);
  }
}

void micronet_add(const micronet_add_params *p, const int8_t *in1, const int8_t *in2, int8_t *out) {
  const int32_t run =
      p->shape.in1_count < p->shape.in2_count ? p->shape.in1_count : p->shape.in2_count;
  for (int32_t i = 0; i < p->shape.count; i += run) {
    add(p, run, in1, in2, out + i);
    if (p->shape.in1_count != run) in1 += run;
    if (p->shape.in2_count != run) in2 += run;
  }
  micronet_apply_clamp(p->shape.count, p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
