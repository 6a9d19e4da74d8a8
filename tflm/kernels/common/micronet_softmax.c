/* SOFTMAX in fixed point, as TensorFlow Lite computes it. Qa.b: a bits before the point, b after
 * it. */
#include "micronet_arithmetic.h"

/* exp(a) for a <= 0 in Q5.26; the result in Q0.31.
 * a = -(multiple of 1/4) + (a mod 1/4 - 1/4); the second part by a Taylor polynomial around -1/8,
 * the first by a product of exp(-2^k) for its bits. */
static int32_t exp_of_negative(int32_t a) {
  static const int32_t exp_of_minus_power[7] = {
      /* exp(-2^-2), exp(-2^-1) .. exp(-2^4), Q0.31 */
      1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t exp_of_minus_eighth = 1895147668;
  const int32_t third = 715827883;
  if (a == 0) return INT32_MAX;
  const int32_t quarter = 1 << 24;
  const int32_t fraction = (a & (quarter - 1)) - quarter; /* [-1/4, 0) in Q5.26 */
  const int32_t whole = fraction - a;
  const int32_t x = fraction * 32 + (1 << 28); /* + 1/8, in Q0.31 */
  const int32_t x2 = micronet_high_mul(x, x);
  const int32_t x3 = micronet_high_mul(x2, x);
  const int32_t x4 = micronet_high_mul(x2, x2);
  const int32_t cubic = micronet_high_mul(micronet_divide_by_power(x4, 2) + x3, third) + x2;
  int32_t result = exp_of_minus_eighth +
                   micronet_high_mul(exp_of_minus_eighth, x + micronet_divide_by_power(cubic, 1));
  for (int bit = 0; bit < 7; ++bit) {
    if (whole & (1 << (24 + bit))) result = micronet_high_mul(result, exp_of_minus_power[bit]);
  }
  return result;
}

/* 1 / (1 + a) for a in [0, 1), both Q0.31, by three Newton steps on the half denominator (1 + a) /
 * 2. */
static int32_t one_over_one_plus(int32_t a) {
  const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
  int32_t x = 1515870810 + micronet_high_mul(half, -1010580540); /* 48/17 - 32/17 * half, Q2.29 */
  for (int step = 0; step < 3; ++step) {
    const int32_t rest = (1 << 29) - micronet_high_mul(half, x);
    const int64_t correction = (int64_t)micronet_high_mul(x, rest) * 4; /* Q4.27 to Q2.29 */
    x = micronet_wrap_add(x, correction > INT32_MAX   ? INT32_MAX
                             : correction < INT32_MIN ? INT32_MIN
                                                      : (int32_t)correction);
  }
  const int64_t result = (int64_t)x * 2; /* x / 2 in Q1.30 is x; to Q0.31 */
  return result > INT32_MAX ? INT32_MAX : (int32_t)result;
}

/* out = 256 * exp(beta * (x - max)) / sum of these - 128 */
void micronet_softmax(const micronet_softmax_params *p, const int8_t *in, int8_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    int32_t largest = -128;
    for (int32_t i = 0; i < p->depth; ++i) largest = in[i] > largest ? in[i] : largest;

    int32_t sum = 0; /* Q12.19 */
    for (int32_t i = 0; i < p->depth; ++i) {
      const int32_t difference = in[i] - largest;
      if (difference < p->diff_min) continue;
      const int32_t e =
          exp_of_negative(micronet_scale(difference, p->input_multiplier, p->input_left_shift));
      sum = micronet_wrap_add(sum, micronet_divide_by_power(e, 12));
    }
    int headroom = 0;
    while (headroom < 31 && !((uint32_t)sum >> (31 - headroom))) ++headroom;
    const int32_t reciprocal =
        one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - ((uint32_t)1 << 31)));
    const int shift = 12 - headroom + 31 - 8;

    for (int32_t i = 0; i < p->depth; ++i) {
      const int32_t difference = in[i] - largest;
      if (difference < p->diff_min) {
        out[i] = -128;
        continue;
      }
      const int32_t e =
          exp_of_negative(micronet_scale(difference, p->input_multiplier, p->input_left_shift));
      out[i] = (int8_t)micronet_ssat8(
          micronet_divide_by_power(micronet_high_mul(reciprocal, e), shift) - 128);
    }
  }
}
