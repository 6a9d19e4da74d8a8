/* The instructions of Armv7E-M, and what its kernels share.
 *
 * On an Arm core with the DSP extension the functions named after instructions are these
 * instructions; anywhere else they compute the same number in portable C, so that the optimised
 * code itself is tested (and sanitized) on a desktop. */
#ifndef MICRONET_DSP_H_
#define MICRONET_DSP_H_

#include <string.h>

#include "micronet_arithmetic.h"

/* Keeps the compiler from holding multiples of a variable in registers of their own. */
#if MICRONET_ARM_DSP
#define MICRONET_OPAQUE(variable) __asm__("" : "+r"(variable))
#else
#define MICRONET_OPAQUE(variable) (void)(variable)
#endif

/* Two int16 in one word, low half first. */
typedef uint32_t micronet_pair;

MICRONET_INLINE int32_t micronet_low(micronet_pair p) { return (int16_t)(p & 0xffff); }
MICRONET_INLINE int32_t micronet_high(micronet_pair p) { return (int16_t)(p >> 16); }
MICRONET_INLINE micronet_pair micronet_make_pair(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xffff) | ((uint32_t)high << 16);
}

/* An unaligned word of four int8. */
MICRONET_INLINE uint32_t micronet_load4(const int8_t *p) {
  uint32_t word;
  MICRONET_COPY(&word, p, 4);
  return word;
}

/* An int8 at p + 2 * step: LDRSB with a shifted index, which saves the compiler a register. */
MICRONET_INLINE int32_t micronet_load1_twice(const int8_t *p, int32_t step) {
#if MICRONET_ARM_DSP
  int32_t value;
  __asm__("ldrsb %0, [%1, %2, lsl #1]" : "=r"(value) : "r"(p), "r"(step) : "memory");
  return value;
#else
  return p[2 * step];
#endif
}

MICRONET_INLINE void micronet_put4(int8_t *p, uint32_t word) { MICRONET_COPY(p, &word, 4); }

/* The same int8 four times. */
MICRONET_INLINE uint32_t micronet_four_times(int32_t value) {
  return ((uint32_t)value & 0xffu) * 0x01010101u;
}

/* SSUB8 and SEL: of four int8 each the greater or the lesser one. */
#if MICRONET_ARM_DSP
#define MICRONET_SELECT4(name, order, comparison)                                         \
  MICRONET_INLINE uint32_t name(uint32_t a, uint32_t b) {                                 \
    uint32_t result;                                                                      \
    __asm__("ssub8 %0, %1, %2\n sel %0, " order : "=&r"(result) : "r"(a), "r"(b) : "cc"); \
    return result;                                                                        \
  }
#else
#define MICRONET_SELECT4(name, order, comparison)                            \
  MICRONET_INLINE uint32_t name(uint32_t a, uint32_t b) {                    \
    uint32_t result = 0;                                                     \
    for (int i = 0; i < 32; i += 8) {                                        \
      const int8_t x = (int8_t)(a >> i & 0xff), y = (int8_t)(b >> i & 0xff); \
      result |= (x comparison y ? a : b) & (0xffu << i);                     \
    }                                                                        \
    return result;                                                           \
  }
#endif
MICRONET_SELECT4(micronet_max4, "%1, %2", >=)
MICRONET_SELECT4(micronet_min4, "%2, %1", <)
#undef MICRONET_SELECT4

/* Two int16 from a 4-byte aligned array. */
MICRONET_INLINE micronet_pair micronet_load_pair(const int16_t *p) {
  micronet_pair pair;
#if defined(__GNUC__)
  MICRONET_COPY(&pair, __builtin_assume_aligned(p, 4), 4);
#else
  MICRONET_COPY(&pair, p, 4);
#endif
  return pair;
}

/* Four int16 from a 4-byte aligned array, as two pairs: one LDRD. */
typedef struct {
  micronet_pair first, second;
} micronet_four;

MICRONET_INLINE micronet_four micronet_next_four(const int16_t **p) {
  micronet_four four;
#if MICRONET_ARM_DSP
  __asm__("ldrd %0, %1, [%2], #8" : "=&r"(four.first), "=&r"(four.second), "+r"(*p) : : "memory");
#else
  four.first = micronet_load_pair(*p);
  four.second = micronet_load_pair(*p + 2);
  *p += 4;
#endif
  return four;
}

MICRONET_INLINE void micronet_store_pair(int16_t *p, micronet_pair pair) {
#if defined(__GNUC__)
  MICRONET_COPY(__builtin_assume_aligned(p, 4), &pair, 4);
#else
  MICRONET_COPY(p, &pair, 4);
#endif
}

/* Two pairs to a 4-byte aligned array: one STRD. */
MICRONET_INLINE void micronet_store_four(int16_t **p, micronet_four four) {
#if MICRONET_ARM_DSP
  __asm__ volatile("strd %1, %2, [%0], #8"
                   : "+r"(*p)
                   : "r"(four.first), "r"(four.second)
                   : "memory");
#else
  micronet_store_pair(*p, four.first);
  micronet_store_pair(*p + 2, four.second);
  *p += 4;
#endif
}

/* SMLAD: sum + low * low + high * high */
MICRONET_INLINE int32_t micronet_smlad(micronet_pair a, micronet_pair b, int32_t sum) {
#if MICRONET_ARM_DSP
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  sum = micronet_wrap_add(sum, micronet_low(a) * micronet_low(b));
  return micronet_wrap_add(sum, micronet_high(a) * micronet_high(b));
#endif
}

/* SMLABB, SMLABT, SMLATB, SMLATT: sum + one half of a * one half of b */
#if MICRONET_ARM_DSP
#define MICRONET_SMLA(name, instruction, half_a, half_b)                              \
  MICRONET_INLINE int32_t name(micronet_pair a, micronet_pair b, int32_t sum) {       \
    int32_t result;                                                                   \
    __asm__(instruction " %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum)); \
    return result;                                                                    \
  }
#else
#define MICRONET_SMLA(name, instruction, half_a, half_b)                        \
  MICRONET_INLINE int32_t name(micronet_pair a, micronet_pair b, int32_t sum) { \
    return micronet_wrap_add(sum, half_a(a) * half_b(b));                       \
  }
#endif
MICRONET_SMLA(micronet_smlabb, "smlabb", micronet_low, micronet_low)
MICRONET_SMLA(micronet_smlabt, "smlabt", micronet_low, micronet_high)
MICRONET_SMLA(micronet_smlatb, "smlatb", micronet_high, micronet_low)
MICRONET_SMLA(micronet_smlatt, "smlatt", micronet_high, micronet_high)
#undef MICRONET_SMLA

/* SXTAB16: to both halves of `base` add bytes 0 and 2 of the word (as int8); _odd: bytes 1 and
 * 3. */
MICRONET_INLINE micronet_pair micronet_sxtab16(micronet_pair base, uint32_t word) {
#if MICRONET_ARM_DSP
  micronet_pair result;
  __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(base), "r"(word));
  return result;
#else
  return micronet_make_pair(micronet_low(base) + (int8_t)(word & 0xff),
                            micronet_high(base) + (int8_t)((word >> 16) & 0xff));
#endif
}
MICRONET_INLINE micronet_pair micronet_sxtab16_odd(micronet_pair base, uint32_t word) {
#if MICRONET_ARM_DSP
  micronet_pair result;
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(base), "r"(word));
  return result;
#else
  return micronet_sxtab16(base, word >> 8);
#endif
}
MICRONET_INLINE micronet_pair micronet_sxtb16(uint32_t word) {
#if MICRONET_ARM_DSP
  micronet_pair result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(word));
  return result;
#else
  return micronet_sxtab16(0, word);
#endif
}
MICRONET_INLINE micronet_pair micronet_sxtb16_odd(uint32_t word) {
#if MICRONET_ARM_DSP
  micronet_pair result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
  return result;
#else
  return micronet_sxtab16(0, word >> 8);
#endif
}

/* SADD16: both halves added. */
MICRONET_INLINE micronet_pair micronet_sadd16(micronet_pair a, micronet_pair b) {
#if MICRONET_ARM_DSP
  micronet_pair result;
  __asm__("sadd16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
#else
  return micronet_make_pair(micronet_low(a) + micronet_low(b), micronet_high(a) + micronet_high(b));
#endif
}

/* PKHBT: low half of a, low half of b as the high one. */
MICRONET_INLINE micronet_pair micronet_pkhbt(uint32_t a, uint32_t b) {
#if MICRONET_ARM_DSP
  micronet_pair result;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
  return result;
#else
  return (a & 0xffffu) | (b << 16);
#endif
}

/* SSAT #8, ASR #12 */
MICRONET_INLINE int32_t micronet_ssat8_asr12(int32_t x) {
#if MICRONET_ARM_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1, asr #12" : "=r"(result) : "r"(x) : "cc");
  return result;
#else
  return micronet_ssat8(x >> 12);
#endif
}

/* The same where the shift is the low half of `packed`: ASR by a register looks at its lowest byte
 * only. */
MICRONET_INLINE int8_t micronet_requantize_packed(int32_t doubled_acc, int32_t multiplier,
                                                  int32_t offset, micronet_pair packed) {
  const int32_t t = micronet_wrap_add(offset, doubled_acc >> 31);
  int32_t y = micronet_smmlar(doubled_acc, multiplier, t);
#if MICRONET_ARM_DSP
  __asm__("asr %0, %0, %1" : "+r"(y) : "r"(packed));
#else
  y >>= micronet_low(packed);
#endif
  return (int8_t)micronet_ssat8(y);
}

/* A channel record, read by one LDM that steps to the next one; an LDM wants its registers in
 * rising order. */
MICRONET_INLINE micronet_channel micronet_next_channel(const micronet_channel **p) {
#if MICRONET_ARM_DSP
  register int32_t doubled_bias __asm__("r4"), multiplier __asm__("r5"), offset __asm__("r6"),
      shift __asm__("r7");
  __asm__("ldmia %4!, {%0, %1, %2, %3}"
          : "=&r"(doubled_bias), "=&r"(multiplier), "=&r"(offset), "=&r"(shift), "+r"(*p)
          :
          : "memory");
  const micronet_channel c = {doubled_bias, multiplier, offset, shift};
  return c;
#else
  return *(*p)++;
#endif
}

/* BIC x, x ASR #31: the greater of x and 0 */
MICRONET_INLINE int32_t micronet_positive_part(int32_t x) {
#if MICRONET_ARM_DSP
  int32_t result;
  __asm__("bic %0, %1, %1, asr #31" : "=r"(result) : "r"(x));
  return result;
#else
  return x & ~(x >> 31);
#endif
}

/* 16-bit copies of x - zero point, in the order 0, 2, 1, 3 of every four, padded by zeros to a
 * multiple of 4; copies are times 2 where `doubled`. Fours lie `stride` values apart. `out` is
 * 4-byte aligned. */
MICRONET_INLINE void micronet_widen(const int8_t *in, int32_t count, int32_t zero_point,
                                    const int doubled, const int32_t stride, int16_t *out) {
  const micronet_pair minus = micronet_make_pair(-zero_point, -zero_point);
  for (; count > 0; count -= 4, in += 4, out += stride) {
    uint32_t word;
    micronet_pair even, odd;
    if (count >= 4) {
      word = micronet_load4(in);
      even = micronet_sxtab16(minus, word);
      odd = micronet_sxtab16_odd(minus, word);
    } else {
      even = micronet_make_pair(in[0] - zero_point, count > 2 ? in[2] - zero_point : 0);
      odd = micronet_make_pair(count > 1 ? in[1] - zero_point : 0, 0);
    }
    micronet_store_pair(out, doubled ? micronet_sadd16(even, even) : even);
    micronet_store_pair(out + 2, doubled ? micronet_sadd16(odd, odd) : odd);
  }
}

#endif /* MICRONET_DSP_H_ */
