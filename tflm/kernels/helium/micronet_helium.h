/* What the Helium (MVE) versions of the kernels share. */
#ifndef MICRONET_HELIUM_H_
#define MICRONET_HELIUM_H_

#include "micronet_arithmetic.h"

#if MICRONET_HELIUM

#include <arm_mve.h>

/* Four accumulators to four int8 in the low bytes of the lanes. VRMULH is SMMULR in four lanes. */
MICRONET_INLINE int32x4_t micronet_requantize4(int32x4_t doubled_acc, int32x4_t multiplier,
                                               int32x4_t offset, int32x4_t minus_shift) {
  int32x4_t y = vaddq_s32(vrmulhq_s32(doubled_acc, multiplier), offset);
  y = vaddq_s32(y, vshrq_n_s32(doubled_acc, 31));
  y = vshlq_s32(y, minus_shift);
  /* Narrowing saturates. It writes every other element of its first argument, the others are not
   * read. */
  const int16x8_t half = vqmovnbq_s32(vreinterpretq_s16_s32(y), y);
  return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(half), half));
}

/* Up to four channel records, one field to a vector. */
typedef struct {
  int32x4_t doubled_bias, multiplier, offset, minus_shift;
} micronet_records;

MICRONET_INLINE micronet_records micronet_load_records(const micronet_channel *c, int32_t count) {
  micronet_records r;
  if (count >= 4) {
    const int32x4x4_t fields = vld4q_s32(&c->doubled_bias);
    r.doubled_bias = fields.val[0];
    r.multiplier = fields.val[1];
    r.offset = fields.val[2];
    r.minus_shift = vnegq_s32(fields.val[3]);
  } else {
    const uint32x4_t at = vshlq_n_u32(vidupq_n_u32(0, 1), 2); /* 0, 4, 8, 12 words */
    const mve_pred16_t lanes = vctp32q((uint32_t)count);
    r.doubled_bias = vldrwq_gather_shifted_offset_z_s32(&c->doubled_bias, at, lanes);
    r.multiplier = vldrwq_gather_shifted_offset_z_s32(&c->multiplier, at, lanes);
    r.offset = vldrwq_gather_shifted_offset_z_s32(&c->offset, at, lanes);
    r.minus_shift = vnegq_s32(vldrwq_gather_shifted_offset_z_s32(&c->shift, at, lanes));
  }
  return r;
}

/* The first `count` of four results. */
MICRONET_INLINE void micronet_store4(int8_t *out, int32x4_t y, int32_t count) {
  if (count >= 4) {
    vstrbq_s32(out, y);
  } else {
    vstrbq_p_s32(out, y, vctp32q((uint32_t)count));
  }
}

/* Two rows of weights times one vector, sixteen MACs an instruction: sum w * (x - zero point), as
 * sum w * x - zero point * sum w. */
MICRONET_INLINE void micronet_two_rows(const int8_t *x, const int8_t *w0, const int8_t *w1,
                                       int32_t count, int32_t zero_point, int32_t *result) {
  int32_t acc0 = 0, acc1 = 0, sum0 = 0, sum1 = 0;
  for (int32_t n = count >> 4; n > 0; --n) {
    const int8x16_t v = vldrbq_s8(x);
    const int8x16_t a = vldrbq_s8(w0);
    acc0 = vmladavaq_s8(acc0, v, a);
    sum0 = vaddvaq_s8(sum0, a);
    const int8x16_t b = vldrbq_s8(w1);
    acc1 = vmladavaq_s8(acc1, v, b);
    sum1 = vaddvaq_s8(sum1, b);
    x += 16, w0 += 16, w1 += 16;
  }
  if (count & 15) {
    const mve_pred16_t bytes = vctp8q((uint32_t)(count & 15));
    const int8x16_t v = vldrbq_z_s8(x, bytes);
    const int8x16_t a = vldrbq_z_s8(w0, bytes);
    acc0 = vmladavaq_s8(acc0, v, a);
    sum0 = vaddvaq_s8(sum0, a);
    const int8x16_t b = vldrbq_z_s8(w1, bytes);
    acc1 = vmladavaq_s8(acc1, v, b);
    sum1 = vaddvaq_s8(sum1, b);
  }
  result[0] = acc0 - zero_point * sum0;
  result[1] = acc1 - zero_point * sum1;
}

/* Four rows, doubled. `rows` may be less than four: then the last one is computed again. */
MICRONET_INLINE int32x4_t micronet_four_rows(const int8_t *x, const int8_t *w, int32_t count,
                                             int32_t rows, int32_t zero_point) {
  const int8_t *w1 = rows > 1 ? w + count : w;
  const int8_t *w2 = rows > 2 ? w1 + count : w1, *w3 = rows > 3 ? w2 + count : w2;
  int32_t sums[4];
  if (count <= 16) { /* the coefficients of Dynamic Shift-Max: many outputs of few inputs */
    const mve_pred16_t bytes = vctp8q((uint32_t)count);
    const int8x16_t v = vldrbq_z_s8(x, bytes);
    const int8x16_t a = vldrbq_z_s8(w, bytes), b = vldrbq_z_s8(w1, bytes);
    const int8x16_t c = vldrbq_z_s8(w2, bytes), d = vldrbq_z_s8(w3, bytes);
    sums[0] = vmladavq_s8(v, a) - zero_point * vaddvq_s8(a);
    sums[1] = vmladavq_s8(v, b) - zero_point * vaddvq_s8(b);
    sums[2] = vmladavq_s8(v, c) - zero_point * vaddvq_s8(c);
    sums[3] = vmladavq_s8(v, d) - zero_point * vaddvq_s8(d);
  } else {
    micronet_two_rows(x, w, w1, count, zero_point, sums);
    micronet_two_rows(x, w2, w3, count, zero_point, sums + 2);
  }
  const int32x4_t acc = vldrwq_s32(sums);
  return vaddq_s32(acc, acc);
}

#endif
#endif /* MICRONET_HELIUM_H_ */
