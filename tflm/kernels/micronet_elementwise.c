/* Elementwise operators: ADD, MUL, MAXIMUM, MINIMUM, HARD_SWISH, tables, clamping. */
#include "micronet_simd.h"

/* Walks two operands that repeat with their own lengths. */
#define FOR_EACH_PAIR(count, n1, n2)               \
  for (int32_t i = 0, i1 = 0, i2 = 0; i < (count); \
       ++i, i1 = i1 + 1 == (n1) ? 0 : i1 + 1, i2 = i2 + 1 == (n2) ? 0 : i2 + 1)

/* out = zero point + (x1 * 2^20 scaled + x2 * 2^20 scaled) scaled, each scaling by two
 * roundings. */
void micronet_add_plain(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                        int8_t *out) {
  FOR_EACH_PAIR(p->count, p->in1_count, p->in2_count) {
    const int32_t x1 = (in1[i1] - p->in1_zero_point) * (1 << 20);
    const int32_t x2 = (in2[i2] - p->in2_zero_point) * (1 << 20);
    const int32_t sum = micronet_scale(x1, p->in1_multiplier, p->in1_shift) +
                        micronet_scale(x2, p->in2_multiplier, p->in2_shift);
    const int32_t y = micronet_wrap_add(micronet_scale(sum, p->out_multiplier, p->out_shift),
                                        p->output_zero_point);
    out[i] = (int8_t)micronet_clamp_value(y, p->clamp_min, p->clamp_max);
  }
}

/* out = zero point + (x1 * x2) scaled */
void micronet_mul(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
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

/* (a * b) / 2^15 of int16, halves up, saturating. */
static int32_t high_mul_16(int32_t a, int32_t b) {
  return micronet_clamp_value((a * b + (1 << 14)) >> 15, -32768, 32767);
}

/* x * relu6(x + 3) / 6 in int16: the gate relu6(x + 3) / 6 is brought to [0, 32767], x to the
 * output's scale times a power of two, and their product is shifted to the output's scale. */
void micronet_hard_swish(const micronet_hard_swish_params *p, int32_t count, const int8_t *in,
                         int8_t *out) {
  for (int32_t i = 0; i < count; ++i) {
    const int32_t x = (int16_t)((in[i] - p->input_zero_point) * 128);
    const int32_t scaled = high_mul_16(x, p->output_multiplier);
    int32_t gate = x;
    const int exponent = p->reluish_exponent;
    if (exponent > 0) {
      /* One bit of the left shift comes after the multiplication: there the saturation counts. */
      const int64_t shifted = (int64_t)gate * ((int64_t)1 << (exponent - 1));
      gate = shifted < -32768 ? -32768 : shifted > 32767 ? 32767 : (int32_t)shifted;
    }
    gate = high_mul_16(gate, p->reluish_multiplier);
    if (exponent > 0) gate = micronet_clamp_value(gate * 2, -32768, 32767);
    if (exponent < -15) {
      /* The reference's mask of the bits shifted out no longer fits its int16: all ones. */
      gate = gate < 0 ? -1 : 1;
    } else if (exponent < 0) {
      gate = micronet_divide_by_power(gate, -exponent);
    }
    gate = (gate + 32768) >> 1;
    const int32_t product = gate * scaled / 32768; /* towards zero */
    const int32_t y = micronet_divide_by_power(product, -p->output_exponent) + p->output_zero_point;
    out[i] = (int8_t)micronet_ssat8(y);
  }
}

void micronet_lookup(const int8_t table[256], int32_t count, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < count; ++i) out[i] = table[in[i] + 128];
}

void micronet_clamp(int32_t count, int lowest, int highest, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < count; ++i) out[i] = (int8_t)micronet_clamp_value(in[i], lowest, highest);
}
