/* MUL: gates, as in squeeze-and-excite, for Helium. */
#include "micronet_helium.h"

#if MICRONET_HELIUM

static void mul(const micronet_mul_params *p, int32_t count, const int8_t *in1, const int8_t *in2,
                int8_t *out) {
  const int32x4_t multiplier = vdupq_n_s32(p->multiplier), offset = vdupq_n_s32(p->offset);
  const int32x4_t minus_shift = vdupq_n_s32(-p->shift);
  const int32_t minus1 = -p->in1_zero_point, minus2 = -p->in2_zero_point;
  for (int32_t left = count; left > 0; left -= 4, in1 += 4, in2 += 4, out += 4) {
    const mve_pred16_t lanes = vctp32q((uint32_t)left);
    const int32x4_t x1 = vaddq_n_s32(vldrbq_z_s32(in1, lanes), minus1);
    const int32x4_t x2 = vaddq_n_s32(vldrbq_z_s32(in2, lanes), minus2);
    const int32x4_t doubled_acc = vshlq_n_s32(vmulq_s32(x1, x2), 1);
    vstrbq_p_s32(out, micronet_requantize4(doubled_acc, multiplier, offset, minus_shift), lanes);
  }
}

void micronet_mul(const micronet_mul_params *p, const int8_t *in1, const int8_t *in2, int8_t *out) {
  const int32_t run = p->in1_count < p->in2_count ? p->in1_count : p->in2_count;
  for (int32_t i = 0; i < p->count; i += run) {
    mul(p, run, in1, in2, out + i);
    if (p->in1_count != run) in1 += run;
    if (p->in2_count != run) in2 += run;
  }
  micronet_apply_clamp(p->count, p->clamp_min, p->clamp_max, out);
}

#endif
