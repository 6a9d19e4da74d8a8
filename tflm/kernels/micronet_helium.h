/* What the Helium (MVE) versions of the kernels share. */
#ifndef MICRONET_HELIUM_H_
#define MICRONET_HELIUM_H_

#include "micronet_simd.h"

#if MICRONET_USE_HELIUM

/* Four accumulators to four int8 in the low bytes of the lanes. VRMULH is SMMULR in four lanes. */
MICRONET_INLINE int32x4_t micronet_requantize4(int32x4_t acc2, int32x4_t multiplier, int32x4_t offset, int32x4_t minus_shift) {
  int32x4_t y = vaddq_s32(vrmulhq_s32(acc2, multiplier), offset);
  y = vaddq_s32(y, vshrq_n_s32(acc2, 31));
  y = vshlq_s32(y, minus_shift);
  /* Saturating narrowing twice; the bottom byte of each lane is the result. */
  const int16x8_t half = vqmovnbq_s32(vdupq_n_s16(0), y);
  return vreinterpretq_s32_s8(vqmovnbq_s16(vdupq_n_s8(0), half));
}

/* Up to four channel records, one field to a vector. */
typedef struct {
  int32x4_t bias2, multiplier, offset, minus_shift;
} micronet_records;

MICRONET_INLINE micronet_records micronet_load_records(const micronet_channel *c, mve_pred16_t lanes) {
  const uint32x4_t at = vidupq_n_u32(0, 4); /* 0, 4, 8, 12 words */
  micronet_records r;
  r.bias2 = vldrwq_gather_shifted_offset_z_s32(&c->bias2, at, lanes);
  r.multiplier = vldrwq_gather_shifted_offset_z_s32(&c->multiplier, at, lanes);
  r.offset = vldrwq_gather_shifted_offset_z_s32(&c->offset, at, lanes);
  r.minus_shift = vnegq_s32(vldrwq_gather_shifted_offset_z_s32(&c->shift, at, lanes));
  return r;
}

MICRONET_INLINE int32x4_t micronet_four_lanes(int32_t a, int32_t b, int32_t c, int32_t d) {
  int32x4_t v = vdupq_n_s32(a);
  v = vsetq_lane_s32(b, v, 1);
  v = vsetq_lane_s32(c, v, 2);
  return vsetq_lane_s32(d, v, 3);
}

/* Four rows of weights times one vector, sixteen MACs an instruction: 2 * sum w * (x - zero point), as
 * 2 * (sum w * x - zero point * sum w). `rows` may be less than four: then the last one is computed again. */
MICRONET_INLINE int32x4_t micronet_four_rows(const int8_t *x, const int8_t *w, int32_t count, int32_t rows,
                                             int32_t zero_point) {
  const int8_t *w0 = w, *w1 = rows > 1 ? w0 + count : w0;
  const int8_t *w2 = rows > 2 ? w1 + count : w1, *w3 = rows > 3 ? w2 + count : w2;
  int32_t acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0, sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
  for (int32_t n = count; n > 0; n -= 16) {
    const mve_pred16_t bytes = vctp8q((uint32_t)n);
    const int8x16_t v = vldrbq_z_s8(x, bytes);
    int8x16_t u = vldrbq_z_s8(w0, bytes);
    acc0 = vmladavaq_s8(acc0, v, u);
    sum0 = vaddvaq_s8(sum0, u);
    u = vldrbq_z_s8(w1, bytes);
    acc1 = vmladavaq_s8(acc1, v, u);
    sum1 = vaddvaq_s8(sum1, u);
    u = vldrbq_z_s8(w2, bytes);
    acc2 = vmladavaq_s8(acc2, v, u);
    sum2 = vaddvaq_s8(sum2, u);
    u = vldrbq_z_s8(w3, bytes);
    acc3 = vmladavaq_s8(acc3, v, u);
    sum3 = vaddvaq_s8(sum3, u);
    x += 16, w0 += 16, w1 += 16, w2 += 16, w3 += 16;
  }
  const int32x4_t acc = vmlaq_n_s32(micronet_four_lanes(acc0, acc1, acc2, acc3),
                                    micronet_four_lanes(sum0, sum1, sum2, sum3), -zero_point);
  return vaddq_s32(acc, acc);
}

#endif
#endif /* MICRONET_HELIUM_H_ */
