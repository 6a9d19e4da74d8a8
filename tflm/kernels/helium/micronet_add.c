/* ADD: residual connections, for Helium. */
#include "micronet_helium.h"

#if MICRONET_HELIUM

static void add(const micronet_add_params *p, int32_t count, const int8_t *in1, const int8_t *in2,
                int8_t *out) {
  const int32x4_t multiplier = vdupq_n_s32(p->shape.multiplier),
                  offset = vdupq_n_s32(p->shape.offset);
  const int32x4_t minus_shift = vdupq_n_s32(-p->shape.shift);
  const int32_t *middle = p->table + 128; /* a negative index wraps around to the right address */
  for (int32_t fours = count >> 2; fours > 0; --fours, in1 += 4, in2 += 4, out += 4) {
    const uint32x4_t at = vreinterpretq_u32_s32(vldrbq_s32(in2));
    int32x4_t doubled_acc = vshlq_n_s32(vldrbq_s32(in1), 20);
    doubled_acc = vaddq_s32(doubled_acc, vldrwq_gather_shifted_offset_s32(middle, at));
    vstrbq_s32(out, micronet_requantize4(doubled_acc, multiplier, offset, minus_shift));
  }
  if (count & 3) {
    const mve_pred16_t lanes = vctp32q((uint32_t)(count & 3));
    const uint32x4_t at = vreinterpretq_u32_s32(vldrbq_z_s32(in2, lanes));
    int32x4_t doubled_acc = vshlq_n_s32(vldrbq_z_s32(in1, lanes), 20);
    doubled_acc = vaddq_s32(doubled_acc, vldrwq_gather_shifted_offset_z_s32(middle, at, lanes));
    vstrbq_p_s32(out, micronet_requantize4(doubled_acc, multiplier, offset, minus_shift), lanes);
  }
}

void micronet_add(const micronet_add_params *p, const int8_t *in1, const int8_t *in2, int8_t *out) {
  const int32_t run =
      p->shape.in1_count < p->shape.in2_count ? p->shape.in1_count : p->shape.in2_count;
  for (int32_t i = 0; i < p->shape.count; i += run) {
    add(p, run, in1, in2, out + i);
    if (p->shape.in1_count != run) in1 += run;
    if (p->shape.in2_count != run) in2 += run;
  }
  micronet_apply_clamp(p->shape.count, p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
