/* The arithmetic of all kernels. Right shifts of negative numbers are arithmetic, as on every
 * compiler that has an Arm target. */
#ifndef MICRONET_ARITHMETIC_H_
#define MICRONET_ARITHMETIC_H_

#include "micronet_kernels.h"
#include "micronet_target.h"

/* Sums wrap as the instructions do; nothing relies on it. */
MICRONET_INLINE int32_t micronet_wrap_add(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* floor((a * b + 2^31) / 2^32), b >= 0. Armv6-M multiplies 32 bits by 32 to 32, and a library
 * function that gives 64 costs twice as much as these four products of halves. */
MICRONET_INLINE int32_t micronet_rounded_high(int32_t a, int32_t b) {
#if defined(__ARM_ARCH_6M__)
  const int32_t a_high = a >> 16, a_low = a & 0xffff, b_high = b >> 16, b_low = b & 0xffff;
  const int32_t low = (int32_t)(((uint32_t)a_low * (uint32_t)b_low) >> 16);
  const int32_t one = a_low * b_high + low, other = a_high * b_low;
  return a_high * b_high + (one >> 16) + (other >> 16) +
         (((one & 0xffff) + (other & 0xffff) + 0x8000) >> 16);
#else
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

/* SMMLAR: sum + a * b / 2^32, rounded half up. */
MICRONET_INLINE int32_t micronet_smmlar(int32_t a, int32_t b, int32_t sum) {
#if MICRONET_ARM_DSP
  int32_t result;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return micronet_wrap_add(sum, micronet_rounded_high(a, b));
#endif
}

/* SSAT #8 */
MICRONET_INLINE int32_t micronet_ssat8(int32_t x) {
#if MICRONET_ARM_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x) : "cc");
  return result;
#else
  return x < -128 ? -128 : x > 127 ? 127 : x;
#endif
}
/* One output of a channel record; the formula is in micronet_kernels.h. */
MICRONET_INLINE int8_t micronet_requantize(int32_t doubled_acc, int32_t multiplier, int32_t offset,
                                           int32_t shift) {
  const int32_t t = micronet_wrap_add(offset, doubled_acc >> 31);
  return (int8_t)micronet_ssat8(micronet_smmlar(doubled_acc, multiplier, t) >> shift);
}

/* TensorFlow Lite's two roundings: y = x * m / 2^31, halves up ... */
MICRONET_INLINE int32_t micronet_high_mul(int32_t x, int32_t m) {
  return (int32_t)(((int64_t)x * m + ((int64_t)1 << 30)) >> 31);
}
/* ... and y / 2^shift, halves away from zero; 0 <= shift <= 31. */
MICRONET_INLINE int32_t micronet_divide_by_power(int32_t y, int shift) {
  const int64_t half = shift > 0 ? (int64_t)1 << (shift - 1) : 0;
  return (int32_t)((y + half - (shift > 0 && y < 0)) >> shift);
}
/* x * m * 2^(shift - 31) by these two roundings; shift is positive to the left. */
MICRONET_INLINE int32_t micronet_scale(int32_t x, int32_t m, int shift) {
  const int left = shift > 0 ? shift : 0;
  const int32_t shifted = (int32_t)((uint32_t)x << left);
  return micronet_divide_by_power(micronet_high_mul(shifted, m), left - shift);
}

MICRONET_INLINE int32_t micronet_clamp_value(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : x;
}

/* Kernels saturate to int8 and leave a narrower activation to this pass. */
MICRONET_INLINE void micronet_apply_clamp(int32_t count, int low, int high, int8_t *out) {
  if (low > -128 || high < 127) micronet_clamp(count, low, high, out, out);
}

/* sum / count, halves away from zero */
MICRONET_INLINE int32_t micronet_rounded_mean(int32_t sum, int32_t count) {
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

#endif /* MICRONET_ARITHMETIC_H_ */
