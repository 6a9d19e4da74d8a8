/* Dynamic Shift-Max in one pass. */
#include "micronet_arithmetic.h"
#include "micronet_dyshiftmax.h"

#if MICRONET_REFERENCE

/* A coefficient in steps of 2^-12 output steps per input step. */
static int32_t widen(const micronet_coefficient *coefficient, int8_t q) {
  return ((q - coefficient->zero_point) * coefficient->multiplier + (1 << 15)) >> 16;
}

/* y[c] = max over k of (a_k[c] * x[c] + b_k[c] * x[shift[c]]);  out[j] = y[source[j]]
 * (micronet_kernels.h has the scales) */
void micronet_dyshiftmax_apply(const micronet_dyshiftmax_params *p, int32_t pixels,
                               const int8_t *in, const int8_t *const coefficients[4], int8_t *out) {
  for (int32_t pixel = 0; pixel < pixels;
       ++pixel, in += p->shape.channels, out += p->shape.channels) {
    for (int j = 0; j < p->shape.channels; ++j) {
      const int c = p->source ? p->source[j] : j;
      const int32_t x = in[c] - p->shape.input_zero_point;
      const int32_t x2 = in[p->shift[c]] - p->shape.input_zero_point;
      int32_t y = widen(&p->shape.coefficient[0], coefficients[0][c]) * x +
                  widen(&p->shape.coefficient[1], coefficients[1][c]) * x2;
      if (p->shape.branches == 2) {
        const int32_t y2 = widen(&p->shape.coefficient[2], coefficients[2][c]) * x +
                           widen(&p->shape.coefficient[3], coefficients[3][c]) * x2;
        if (y2 > y) y = y2;
      }
      out[j] = (int8_t)micronet_ssat8(((y + (1 << 11)) >> 12) + p->shape.output_zero_point);
    }
  }
}

#endif
