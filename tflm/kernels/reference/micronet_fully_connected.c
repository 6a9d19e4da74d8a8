/* FULLY_CONNECTED with per-tensor weights. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[o] = requantized(doubled_bias[o] + sum over i of 2 * w[o][i] * (in[i] - zero point)) */
void micronet_fully_connected(const micronet_fully_connected_params *p, const int8_t *in,
                              int8_t *out, void *scratch) {
  (void)scratch;
  for (int o = 0; o < p->shape.out_c; ++o) {
    const int8_t *w = p->weights + (size_t)o * p->shape.in_c;
    int32_t acc = p->doubled_bias[o];
    for (int i = 0; i < p->shape.in_c; ++i) acc += 2 * w[i] * (in[i] - p->shape.input_zero_point);
    out[o] = micronet_requantize(acc, p->shape.multiplier, p->shape.offset, p->shape.shift);
  }
  micronet_apply_clamp(p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
