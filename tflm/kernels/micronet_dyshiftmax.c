/* Dynamic Shift-Max in one pass. */
#include "micronet_simd.h"

/* A coefficient in steps of 2^-12 output steps per input step. */
static int32_t widen(const micronet_coefficient *coefficient, int8_t q) {
  return ((q - coefficient->zero_point) * coefficient->multiplier + (1 << 15)) >> 16;
}

#if MICRONET_USE_REFERENCE

/* y[c] = max over k of (a_k[c] * x[c] + b_k[c] * x[shift[c]]);  out[j] = y[source[j]]  (micronet_kernels.h has the scales) */
static void apply(const micronet_dyshiftmax_params *p, int32_t pixels, const int8_t *in,
                  const int8_t *const coefficients[4], int8_t *out) {
  for (int32_t pixel = 0; pixel < pixels; ++pixel, in += p->channels, out += p->channels) {
    for (int j = 0; j < p->channels; ++j) {
      const int c = p->source ? p->source[j] : j;
      const int32_t x = in[c] - p->input_zero_point;
      const int32_t x2 = in[p->shift[c]] - p->input_zero_point;
      int32_t y = widen(&p->coefficient[0], coefficients[0][c]) * x + widen(&p->coefficient[1], coefficients[1][c]) * x2;
      if (p->branches == 2) {
        const int32_t y2 = widen(&p->coefficient[2], coefficients[2][c]) * x +
                           widen(&p->coefficient[3], coefficients[3][c]) * x2;
        if (y2 > y) y = y2;
      }
      out[j] = (int8_t)micronet_ssat8(((y + (1 << 11)) >> 12) + p->output_zero_point);
    }
  }
}

#else

/* Channel by channel, so that the coefficients stay in registers and any permutation costs nothing.
 * With u = {x, x2} in one register: y2 = b . u, and y1 = y2 + (a - b) . u, so the larger one is y2 + max(0, (a - b) . u). */
static void apply(const micronet_dyshiftmax_params *p, int32_t pixels, const int8_t *in,
                  const int8_t *const coefficients[4], int8_t *out) {
  const int32_t step = p->channels;
  const int32_t rounding = p->output_zero_point * (1 << 12) + (1 << 11);
  in += pixels * step;
  out += pixels * step;
  for (int j = 0; j < step; ++j, ++out) {
    const int c = p->source ? p->source[j] : j;
    const int8_t *x = in + c;
    const int8_t *x2 = in + p->shift[c];
    int32_t a = widen(&p->coefficient[0], coefficients[0][c]);
    int32_t b = widen(&p->coefficient[1], coefficients[1][c]);
    int32_t i = -pixels * step; /* counting up to 0 saves a comparison */
    if (p->branches == 1) {
      const micronet_pair ab = micronet_make_pair(a, b);
      const int32_t base = rounding - p->input_zero_point * (a + b);
      do {
        const micronet_pair u = micronet_pkhbt((uint32_t)x[i], (uint32_t)x2[i]);
        out[i] = (int8_t)micronet_ssat8_asr12(micronet_smlad(u, ab, base));
        i += step;
      } while (i != 0);
    } else {
      const int32_t a2 = widen(&p->coefficient[2], coefficients[2][c]);
      const int32_t b2 = widen(&p->coefficient[3], coefficients[3][c]);
      const micronet_pair ab = micronet_make_pair(a2, b2);
      const int32_t base = rounding - p->input_zero_point * (a2 + b2);
      a -= a2;
      b -= b2;
      const micronet_pair more_ab = micronet_make_pair(a, b);
      const int32_t more_base = -p->input_zero_point * (a + b);
      do {
        const micronet_pair u = micronet_pkhbt((uint32_t)x[i], (uint32_t)x2[i]);
        const int32_t more = micronet_smlad(u, more_ab, more_base);
        const int32_t y = micronet_smlad(u, ab, base) + micronet_positive_part(more);
        out[i] = (int8_t)micronet_ssat8_asr12(y);
        i += step;
      } while (i != 0);
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
