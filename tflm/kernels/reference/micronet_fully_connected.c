/* FULLY_CONNECTED with per-tensor weights. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[o] = requantized(doubled_bias[o] + sum over i of 2 * w[o][i] * (in[i] - zero point)) */
void micronet_fully_connected(const micronet_fully_connected_params *p, const int8_t *in,
                              int8_t *out, void *scratch) {
  const micronet_fully_connected_shape *const s = &p->shape;
  (void)scratch;
  for (int o = 0; o < s->out_c; ++o) {
    const int8_t *w = p->weights + (ptrdiff_t)o * s->in_c;
    int32_t acc = p->doubled_bias[o];
    for (int i = 0; i < s->in_c; ++i) acc += 2 * w[i] * (in[i] - s->input_zero_point);
    out[o] = micronet_requantize(acc, s->multiplier, s->offset, s->shift);
  }
  micronet_apply_clamp(s->out_c, s->clamp_min, s->clamp_max, out);
}

#endif
