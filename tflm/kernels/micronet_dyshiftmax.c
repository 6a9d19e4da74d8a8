/* Dynamic Shift-Max in one pass. */
#include "micronet_helium.h"

#if MICRONET_USE_REFERENCE

/* A coefficient in steps of 2^-12 output steps per input step. */
static int32_t widen(const micronet_coefficient *coefficient, int8_t q) {
  return ((q - coefficient->zero_point) * coefficient->multiplier + (1 << 15)) >> 16;
}

/* y[c] = max over k of (a_k[c] * x[c] + b_k[c] * x[shift[c]]);  out[j] = y[source[j]]
 * (micronet_kernels.h has the scales) */
static void apply(const micronet_dyshiftmax_params *p, int32_t pixels, const int8_t *in,
                  const int8_t *const coefficients[4], int8_t *out) {
  for (int32_t pixel = 0; pixel < pixels; ++pixel, in += p->channels, out += p->channels) {
    for (int j = 0; j < p->channels; ++j) {
      const int c = p->source ? p->source[j] : j;
      const int32_t x = in[c] - p->input_zero_point;
      const int32_t x2 = in[p->shift[c]] - p->input_zero_point;
      int32_t y = widen(&p->coefficient[0], coefficients[0][c]) * x +
                  widen(&p->coefficient[1], coefficients[1][c]) * x2;
      if (p->branches == 2) {
        const int32_t y2 = widen(&p->coefficient[2], coefficients[2][c]) * x +
                           widen(&p->coefficient[3], coefficients[3][c]) * x2;
        if (y2 > y) y = y2;
      }
      out[j] = (int8_t)micronet_ssat8(((y + (1 << 11)) >> 12) + p->output_zero_point);
    }
  }
}

#elif MICRONET_USE_HELIUM

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

static int32x4_t widen_coefficients(const micronet_coefficient *c, const int8_t *q,
                                    uint32x4_t channel, mve_pred16_t lanes) {
  const int32x4_t v = vsubq_n_s32(vldrbq_gather_offset_z_s32(q, channel, lanes), c->zero_point);
  return vshrq_n_s32(vaddq_n_s32(vmulq_n_s32(v, c->multiplier), 1 << 15), 16);
}

static void apply(const micronet_dyshiftmax_params *p, int32_t pixels, const int8_t *in,
                  const int8_t *const coefficients[4], int8_t *out) {
  const int32_t channels = p->channels;
  const int16_t minus = (int16_t)(-8 * p->input_zero_point), zero_point = p->output_zero_point;
  for (int32_t j = 0; j < channels; j += 4) {
    const mve_pred16_t lanes = vctp32q((uint32_t)(channels - j));
    const uint32x4_t c = p->source ? vldrhq_z_u32(p->source + j, lanes)
                                   : vaddq_n_u32(vidupq_n_u32(0, 1), (uint32_t)j);
    const uint32x4_t c2 = vldrhq_gather_shifted_offset_z_u32(p->shift, c, lanes);
    const uint16x8_t at = vreinterpretq_u16_u32(vsliq_n_u32(c, c2, 16));
    const int32x4_t a1 = widen_coefficients(&p->coefficient[0], coefficients[0], c, lanes);
    const int32x4_t b1 = widen_coefficients(&p->coefficient[1], coefficients[1], c, lanes);
    const int16x8_t ab1 = vreinterpretq_s16_s32(vsliq_n_s32(a1, b1, 16));
    /* Lanes beyond the last channel read channel 0 and are not stored. */
    int16x8_t ba2 = ab1;
    if (p->branches == 2) {
      const int32x4_t a2 = widen_coefficients(&p->coefficient[2], coefficients[2], c, lanes);
      const int32x4_t b2 = widen_coefficients(&p->coefficient[3], coefficients[3], c, lanes);
      ba2 = vreinterpretq_s16_s32(vsliq_n_s32(b2, a2, 16));
    }
    if (j + 4 <= channels) {
      (p->branches == 1 ? four_of_one_branch : four_of_two_branches)(
          lanes, pixels, channels, at, minus, ab1, ba2, zero_point, in, out + j);
    } else {
      (p->branches == 1 ? some_of_one_branch : some_of_two_branches)(
          lanes, pixels, channels, at, minus, ab1, ba2, zero_point, in, out + j);
    }
  }
}

#elif MICRONET_USE_DSP

/* A coefficient widened: (q * multiplier + offset) >> 16, its zero point and rounding being in the
 * offset. */
typedef struct {
  int32_t multiplier, offset;
} widening;

MICRONET_INLINE int32_t widen(const widening *w, int8_t q) {
  return (q * w->multiplier + w->offset) >> 16;
}

/* Channel by channel, so that the coefficients stay in registers and any permutation costs nothing.
 * With u = {x, x2} in one register: y2 = b . u, and y1 = y2 + (a - b) . u, so the larger one is
 * y2 + max(0, (a - b) . u). Two pixels a turn; x, x2 and out share the index. */
#define APPLY(sum)                                                           \
  do {                                                                       \
    const micronet_pair u = micronet_pkhbt((uint32_t)x[i], (uint32_t)x2[i]); \
    out[i] = (int8_t)micronet_ssat8_asr12(sum);                              \
    i += step;                                                               \
  } while (0)
#define APPLY_TO_ALL(sum) \
  if (odd) APPLY(sum);    \
  while (i != 0) {        \
    APPLY(sum);           \
    APPLY(sum);           \
  }

static void apply(const micronet_dyshiftmax_params *p, int32_t pixels, const int8_t *in,
                  const int8_t *const coefficients[4], int8_t *out) {
  const int32_t step = p->channels, odd = pixels & 1, zero_point = p->input_zero_point;
  const int32_t rounding = p->output_zero_point * (1 << 12) + (1 << 11);
  widening wide[4];
  for (int k = 0; k < 4; ++k) {
    const micronet_coefficient *c = &p->coefficient[k];
    wide[k].multiplier = c->multiplier;
    wide[k].offset = (1 << 15) - c->zero_point * c->multiplier;
  }
  in += pixels * step;
  out += pixels * step;
  for (int j = 0; j < step; ++j, ++out) {
    const int c = p->source ? p->source[j] : j;
    const int8_t *x = in + c;
    const int8_t *x2 = in + p->shift[c];
    const int32_t a = widen(&wide[0], coefficients[0][c]);
    const int32_t b = widen(&wide[1], coefficients[1][c]);
    int32_t i = -pixels * step; /* counting up to 0 saves a comparison */
    if (p->branches == 1) {
      const micronet_pair ab = micronet_pkhbt((uint32_t)a, (uint32_t)b);
      const int32_t base = rounding - zero_point * (a + b);
      APPLY_TO_ALL(micronet_smlad(u, ab, base));
    } else {
      const int32_t a2 = widen(&wide[2], coefficients[2][c]);
      const int32_t b2 = widen(&wide[3], coefficients[3][c]);
      const micronet_pair ab = micronet_pkhbt((uint32_t)a2, (uint32_t)b2);
      const micronet_pair more = micronet_pkhbt((uint32_t)(a - a2), (uint32_t)(b - b2));
      const int32_t base = rounding - zero_point * (a2 + b2);
      const int32_t more_base = zero_point * (a2 + b2 - a - b);
      APPLY_TO_ALL(micronet_smlad(u, ab, base) +
                   micronet_positive_part(micronet_smlad(u, more, more_base)));
    }
  }
}

#endif

void micronet_dyshiftmax(const micronet_dyshiftmax_params *p, const int8_t *in,
                         const int8_t *const coefficients[4], int8_t *out, void *scratch,
                         size_t scratch_bytes) {
  if (in != out) {
    apply(p, p->pixels, in, coefficients, out);
    return;
  }
  /* In place: as many pixels at a time as the scratch holds are moved away first. */
  const int32_t most = (int32_t)(scratch_bytes / (size_t)p->channels);
  for (int32_t pixel = 0; pixel < p->pixels;) {
    const int32_t n = p->pixels - pixel < most ? p->pixels - pixel : most;
    int8_t *block = out + (size_t)pixel * p->channels;
    memcpy(scratch, block, (size_t)n * p->channels);
    apply(p, n, (const int8_t *)scratch, coefficients, block);
    pixel += n;
  }
}
