/* Elementwise operators: MAXIMUM, MINIMUM, and ADD, SUB and MUL of any scales. */
#include "micronet_arithmetic.h"

/* Walks two operands that repeat with their own lengths. */
#define FOR_EACH_PAIR(count, n1, n2)               \
  for (int32_t i = 0, i1 = 0, i2 = 0; i < (count); \
       ++i, i1 = i1 + 1 == (n1) ? 0 : i1 + 1, i2 = i2 + 1 == (n2) ? 0 : i2 + 1)

/* out = zero point + (x1 * 2^20 scaled + sign * x2 * 2^20 scaled) scaled, each scaling by two
 * roundings. The sign comes last: of x and -x, halves are not rounded to y and -y. */
static void add_signed(const micronet_binary_params *p, int32_t sign, const int8_t *in1,
                       const int8_t *in2, int8_t *out) {
  FOR_EACH_PAIR(p->count, p->in1_count, p->in2_count) {
    const int32_t x1 = (in1[i1] - p->in1_zero_point) * (1 << 20);
    const int32_t x2 = (in2[i2] - p->in2_zero_point) * (1 << 20);
    const int32_t sum = micronet_scale(x1, p->in1_multiplier, p->in1_shift) +
                        sign * micronet_scale(x2, p->in2_multiplier, p->in2_shift);
    const int32_t y = micronet_wrap_add(micronet_scale(sum, p->out_multiplier, p->out_shift),
                                        p->output_zero_point);
    out[i] = (int8_t)micronet_clamp_value(y, p->clamp_min, p->clamp_max);
  }
}

void micronet_add_plain(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                        int8_t *out) {
  add_signed(p, 1, in1, in2, out);
}

void micronet_sub_plain(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                        int8_t *out) {
  add_signed(p, -1, in1, in2, out);
}

/* out = zero point + (x1 * x2) scaled */
void micronet_mul_plain(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                        int8_t *out) {
  FOR_EACH_PAIR(p->count, p->in1_count, p->in2_count) {
    const int32_t product = (in1[i1] - p->in1_zero_point) * (in2[i2] - p->in2_zero_point);
    const int32_t y = micronet_wrap_add(micronet_scale(product, p->out_multiplier, p->out_shift),
                                        p->output_zero_point);
    out[i] = (int8_t)micronet_clamp_value(y, p->clamp_min, p->clamp_max);
  }
}

void micronet_maximum(int32_t count, int32_t in1_count, int32_t in2_count, const int8_t *in1,
                      const int8_t *in2, int8_t *out) {
  FOR_EACH_PAIR(count, in1_count, in2_count) out[i] = in1[i1] > in2[i2] ? in1[i1] : in2[i2];
}

void micronet_minimum(int32_t count, int32_t in1_count, int32_t in2_count, const int8_t *in1,
                      const int8_t *in2, int8_t *out) {
  FOR_EACH_PAIR(count, in1_count, in2_count) out[i] = in1[i1] < in2[i2] ? in1[i1] : in2[i2];
}

#undef FOR_EACH_PAIR
