/* Dynamic Shift-Max in one pass, for Helium. */
#include "micronet_helium.h"
#include "micronet_dyshiftmax.h"

#if MICRONET_HELIUM

/* Four channels of a pixel at once. A vector holds x and x2 of each, {x, x2, x, x2 ..}, and
 * VQRDMLADH is the dual multiply-accumulate with the one rounding: (2 * (8 xA + 8 x2 B) + 2^15) >>
 * 16. */

MICRONET_INLINE void four_channels(const int branches, const int all, mve_pred16_t lanes,
                                   int32_t pixels, int32_t step, uint16x8_t at, int16_t minus,
                                   int16x8_t ab1, int16x8_t ba2, int16_t zero_point,
                                   const int8_t *x, int8_t *out) {
  const int16x8_t eight = vdupq_n_s16(8);
  int16x8_t y = vdupq_n_s16(0);
  int8x16_t narrow = vdupq_n_s8(0); /* the even bytes are written, saturated */
#define FOUR_OF_A_PIXEL                                                              \
  {                                                                                  \
    const int16x8_t u = vmlasq_n_s16(vldrbq_gather_offset_s16(x, at), eight, minus); \
    y = vqrdmladhq_s16(y, u, ab1); /* even lanes */                                  \
    int16x8_t larger = y;                                                            \
    if (branches == 2) {                                                             \
      y = vqrdmladhxq_s16(y, u, ba2); /* odd lanes */                                \
      larger = vmaxq_s16(y, vrev32q_s16(y));                                         \
    }                                                                                \
    narrow = vqmovnbq_s16(narrow, vaddq_n_s16(larger, zero_point));                  \
    if (all) {                                                                       \
      vstrbq_s32(out, vreinterpretq_s32_s8(narrow));                                 \
    } else {                                                                         \
      vstrbq_p_s32(out, vreinterpretq_s32_s8(narrow), lanes);                        \
    }                                                                                \
    x += step;                                                                       \
    out += step;                                                                     \
  }
  if (pixels & 1) FOUR_OF_A_PIXEL
  for (int32_t pairs = pixels >> 1; pairs > 0; --pairs) {
    FOUR_OF_A_PIXEL
    FOUR_OF_A_PIXEL
  }
}

/* Functions of their own, so that the pointers get the low registers that vector loads want. */
#define FOUR_CHANNELS(name, branches, all)                                                       \
  static MICRONET_NOINLINE void name(mve_pred16_t lanes, int32_t pixels, int32_t step,           \
                                     uint16x8_t at, int16_t minus, int16x8_t ab1, int16x8_t ba2, \
                                     int16_t zero_point, const int8_t *x, int8_t *out) {         \
    four_channels(branches, all, lanes, pixels, step, at, minus, ab1, ba2, zero_point, x, out);  \
  }
FOUR_CHANNELS(four_of_one_branch, 1, 1)
FOUR_CHANNELS(some_of_one_branch, 1, 0)
FOUR_CHANNELS(four_of_two_branches, 2, 1)
FOUR_CHANNELS(some_of_two_branches, 2, 0)
#undef FOUR_CHANNELS
#undef FOUR_OF_A_PIXEL

static int32x4_t widen_coefficients(const micronet_coefficient *c, const int8_t *q,
                                    uint32x4_t channel, mve_pred16_t lanes) {
  const int32x4_t v = vsubq_n_s32(vldrbq_gather_offset_z_s32(q, channel, lanes), c->zero_point);
  return vshrq_n_s32(vaddq_n_s32(vmulq_n_s32(v, c->multiplier), 1 << 15), 16);
}

void micronet_dyshiftmax_apply(const micronet_dyshiftmax_params *p, int32_t pixels,
                               const int8_t *in, const int8_t *const coefficients[4], int8_t *out) {
  const int32_t channels = p->shape.channels;
  const int16_t minus = (int16_t)(-8 * p->shape.input_zero_point),
                zero_point = p->shape.output_zero_point;
  for (int32_t j = 0; j < channels; j += 4) {
    const mve_pred16_t lanes = vctp32q((uint32_t)(channels - j));
    const uint32x4_t c = p->source ? vldrhq_z_u32(p->source + j, lanes)
                                   : vaddq_n_u32(vidupq_n_u32(0, 1), (uint32_t)j);
    const uint32x4_t c2 = vldrhq_gather_shifted_offset_z_u32(p->shift, c, lanes);
    const uint16x8_t at = vreinterpretq_u16_u32(vsliq_n_u32(c, c2, 16));
    const int32x4_t a1 = widen_coefficients(&p->shape.coefficient[0], coefficients[0], c, lanes);
    const int32x4_t b1 = widen_coefficients(&p->shape.coefficient[1], coefficients[1], c, lanes);
    const int16x8_t ab1 = vreinterpretq_s16_s32(vsliq_n_s32(a1, b1, 16));
    /* Lanes beyond the last channel read channel 0 and are not stored. */
    int16x8_t ba2 = ab1;
    if (p->shape.branches == 2) {
      const int32x4_t a2 = widen_coefficients(&p->shape.coefficient[2], coefficients[2], c, lanes);
      const int32x4_t b2 = widen_coefficients(&p->shape.coefficient[3], coefficients[3], c, lanes);
      ba2 = vreinterpretq_s16_s32(vsliq_n_s32(b2, a2, 16));
    }
    if (j + 4 <= channels) {
      (p->shape.branches == 1 ? four_of_one_branch : four_of_two_branches)(
          lanes, pixels, channels, at, minus, ab1, ba2, zero_point, in, out + j);
    } else {
      (p->shape.branches == 1 ? some_of_one_branch : some_of_two_branches)(
          lanes, pixels, channels, at, minus, ab1, ba2, zero_point, in, out + j);
    }
  }
}

#endif
