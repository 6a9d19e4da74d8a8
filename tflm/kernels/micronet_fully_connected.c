/* FULLY_CONNECTED with per-tensor weights. */
#include "micronet_simd.h"

#if MICRONET_USE_REFERENCE

/* out[o] = requantized(bias2[o] + sum over i of 2 * w[o][i] * (in[i] - zero point)) */
void micronet_fully_connected(const micronet_dense *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  for (int o = 0; o < p->out_c; ++o) {
    const int8_t *w = p->weights + (size_t)o * p->in_c;
    int32_t acc = p->bias2[o];
    for (int i = 0; i < p->in_c; ++i) acc += 2 * w[i] * (in[i] - p->input_zero_point);
    out[o] = micronet_requantize(acc, p->multiplier, p->offset, p->shift);
  }
  micronet_apply_clamp(p->out_c, p->clamp_min, p->clamp_max, out);
}

#else

/* `rows` outputs at a time share the loads of x; x is widened (and doubled) once, in the order in which SXTB16 unpacks
 * the weights. */
MICRONET_INLINE void rows_of_weights(const int rows, const micronet_dense *p, const int16_t *x2, const int8_t *w,
                                     const int32_t *bias2, int8_t *out) {
  const int32_t in_c = p->in_c;
  int32_t acc[4];
  for (int r = 0; r < rows; ++r) acc[r] = bias2[r];
  const int8_t *const end = w + (in_c & ~3);
  while (w != end) {
    const micronet_four x = micronet_load_four(x2);
    const int8_t *row = w;
    for (int r = 0; r < rows; ++r, row += in_c) {
      const uint32_t word = micronet_load4(row);
      acc[r] = micronet_smlad(micronet_sxtb16(word), x.first, acc[r]);
      acc[r] = micronet_smlad(micronet_sxtb16_odd(word), x.second, acc[r]);
    }
    w += 4;
    x2 += 4;
  }
  for (int i = 0; i < (in_c & 3); ++i) {
    for (int r = 0; r < rows; ++r) acc[r] += w[r * in_c + i] * x2[(i & 1) << 1 | i >> 1];
  }
  for (int r = 0; r < rows; ++r) out[r] = micronet_requantize(acc[r], p->multiplier, p->offset, p->shift);
}

void micronet_fully_connected(const micronet_dense *p, const int8_t *in, int8_t *out, void *scratch) {
  int16_t *x2 = (int16_t *)scratch;
  micronet_widen(in, p->in_c, micronet_make_pair(-p->input_zero_point, -p->input_zero_point), x2);
  for (int i = 0; i < MICRONET_ROUND_UP_4(p->in_c); ++i) x2[i] = (int16_t)(2 * x2[i]);
  const int8_t *w = p->weights;
  int o = 0;
  for (; o + 4 <= p->out_c; o += 4, w += 4 * p->in_c) rows_of_weights(4, p, x2, w, p->bias2 + o, out + o);
  for (; o < p->out_c; ++o, w += p->in_c) rows_of_weights(1, p, x2, w, p->bias2 + o, out + o);
  micronet_apply_clamp(p->out_c, p->clamp_min, p->clamp_max, out);
}

#endif
