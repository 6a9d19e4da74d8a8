/* AVERAGE_POOL_2D over the whole map, for Helium. */
#include "micronet_helium.h"

#if MICRONET_HELIUM

/* Eight channels at once, summed in 16 bits for 256 pixels at most */

void micronet_global_average_pool(int32_t pixels, int32_t channels, const int8_t *in, int8_t *out) {
  for (int32_t c = 0; c < channels; c += 8) {
    const mve_pred16_t lanes = vctp16q((uint32_t)(channels - c));
    int32x4_t even = vdupq_n_s32(0), odd = vdupq_n_s32(0);
    const int8_t *x = in + c;
    for (int32_t left = pixels; left > 0;) {
      int32_t n = left < 256 ? left : 256;
      left -= n;
      int16x8_t sum = vdupq_n_s16(0);
      if (channels - c >= 8) {
        for (; n > 0; --n, x += channels) sum = vaddq_s16(sum, vldrbq_s16(x));
      } else {
        for (; n > 0; --n, x += channels) sum = vaddq_s16(sum, vldrbq_z_s16(x, lanes));
      }
      even = vaddq_s32(even, vmovlbq_s16(sum));
      odd = vaddq_s32(odd, vmovltq_s16(sum));
    }
    int32_t sums[8];
    vst2q_s32(sums, ((int32x4x2_t){{even, odd}}));
    const int32_t count = channels - c < 8 ? channels - c : 8;
    for (int32_t i = 0; i < count; ++i) *out++ = (int8_t)micronet_rounded_mean(sums[i], pixels);
  }
}

#endif
