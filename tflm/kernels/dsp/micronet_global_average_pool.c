/* AVERAGE_POOL_2D over the whole map, for Armv7E-M. */
#include "micronet_dsp.h"

#if MICRONET_DSP

/* Four channels at a time, summed in two registers of two 16-bit lanes; 256 pixels cannot overflow
 * a lane. */
void micronet_global_average_pool(int32_t pixels, int32_t channels, const int8_t *in, int8_t *out) {
  int32_t c = 0;
  for (; c + 4 <= channels; c += 4, in += 4) {
    int32_t sum[4] = {0, 0, 0, 0};
    const int8_t *v = in;
    for (int32_t left = pixels; left > 0;) {
      int32_t n = left < 256 ? left : 256;
      left -= n;
      micronet_pair even = 0, odd = 0;
      do {
        const uint32_t word = micronet_load4(v);
        even = micronet_sxtab16(even, word);
        odd = micronet_sxtab16_odd(odd, word);
        v += channels;
      } while (--n);
      sum[0] += micronet_low(even);
      sum[1] += micronet_low(odd);
      sum[2] += micronet_high(even);
      sum[3] += micronet_high(odd);
    }
    for (int i = 0; i < 4; ++i) *out++ = (int8_t)micronet_rounded_mean(sum[i], pixels);
  }
  for (; c < channels; ++c, ++in) {
    int32_t sum = 0;
    for (int32_t i = 0; i < pixels; ++i) sum += in[(ptrdiff_t)i * channels];
    *out++ = (int8_t)micronet_rounded_mean(sum, pixels);
  }
}

#endif
