/* MEAN over height and width. */
#include "micronet_arithmetic.h"

void micronet_mean(const micronet_mean_params *p, const int8_t *in, int8_t *out) {
  for (int32_t c = 0; c < p->channels; ++c) {
    int32_t sum = -p->input_offset;
    for (int32_t i = 0; i < p->pixels; ++i) sum += in[(ptrdiff_t)i * p->channels + c];
    const int32_t y = micronet_scale(sum, p->multiplier, p->shift);
    out[c] = (int8_t)micronet_ssat8(micronet_wrap_add(y, p->output_zero_point));
  }
}
