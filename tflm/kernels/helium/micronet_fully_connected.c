/* FULLY_CONNECTED with per-tensor weights, for Helium. */
#include "micronet_helium.h"

#if MICRONET_HELIUM

void micronet_fully_connected(const micronet_fully_connected_params *p, const int8_t *in,
                              int8_t *out, void *scratch) {
  const int32x4_t multiplier = vdupq_n_s32(p->shape.multiplier),
                  offset = vdupq_n_s32(p->shape.offset);
  const int32x4_t minus_shift = vdupq_n_s32(-p->shape.shift);
  (void)scratch;
  for (int32_t o = 0; o < p->shape.out_c; o += 4) {
    const int32_t left = p->shape.out_c - o;
    int32x4_t doubled_acc = micronet_four_rows(in, p->weights + (size_t)o * (size_t)p->shape.in_c,
                                               p->shape.in_c, left, p->shape.input_zero_point);
    doubled_acc =
        vaddq_s32(doubled_acc, vldrwq_z_s32(p->doubled_bias + o, vctp32q((uint32_t)left)));
    micronet_store4(out + o, micronet_requantize4(doubled_acc, multiplier, offset, minus_shift),
                    left);
  }
  micronet_apply_clamp(p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
