/* PRELU. */
#include "micronet_arithmetic.h"

void micronet_prelu(const micronet_binary_params *p, const int8_t *in1, const int8_t *in2,
                    int8_t *out) {
  for (int32_t i = 0, j = 0; i < p->count; ++i, j = j + 1 == p->in2_count ? 0 : j + 1) {
    const int32_t x = in1[i] - p->in1_zero_point;
    const int32_t slope = in2[j] - p->in2_zero_point;
    const int32_t y = x >= 0 ? micronet_scale(x, p->in1_multiplier, p->in1_shift)
                             : micronet_scale(x * slope, p->out_multiplier, p->out_shift);
    out[i] = (int8_t)micronet_clamp_value(micronet_wrap_add(y, p->output_zero_point), p->clamp_min,
                                          p->clamp_max);
  }
}
