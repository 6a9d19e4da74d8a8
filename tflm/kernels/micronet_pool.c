/* Pooling. */
#include "micronet_helium.h"

/* sum / count, halves away from zero */
static int32_t rounded_mean(int32_t sum, int32_t count) {
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

void micronet_average_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out) {
  for (int y = 0; y < p->out_h; ++y) {
    const int top = y * p->stride_h - p->pad_top;
    const int y0 = top > 0 ? top : 0;
    const int y1 = top + p->kernel_h < p->in_h ? top + p->kernel_h : p->in_h;
    for (int x = 0; x < p->out_w; ++x) {
      const int left = x * p->stride_w - p->pad_left;
      const int x0 = left > 0 ? left : 0;
      const int x1 = left + p->kernel_w < p->in_w ? left + p->kernel_w : p->in_w;
      for (int c = 0; c < p->channels; ++c) {
        int32_t sum = 0;
        for (int v = y0; v < y1; ++v) {
          for (int u = x0; u < x1; ++u) sum += in[((size_t)v * p->in_w + u) * p->channels + c];
        }
        const int32_t mean = rounded_mean(sum, (y1 - y0) * (x1 - x0));
        *out++ = (int8_t)micronet_clamp_value(mean, p->clamp_min, p->clamp_max);
      }
    }
  }
}

void micronet_max_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out) {
  for (int y = 0; y < p->out_h; ++y) {
    const int top = y * p->stride_h - p->pad_top;
    const int y0 = top > 0 ? top : 0;
    const int y1 = top + p->kernel_h < p->in_h ? top + p->kernel_h : p->in_h;
    for (int x = 0; x < p->out_w; ++x) {
      const int left = x * p->stride_w - p->pad_left;
      const int x0 = left > 0 ? left : 0;
      const int x1 = left + p->kernel_w < p->in_w ? left + p->kernel_w : p->in_w;
      for (int c = 0; c < p->channels; ++c) {
        int32_t largest = -128;
        for (int v = y0; v < y1; ++v) {
          for (int u = x0; u < x1; ++u) {
            const int32_t value = in[((size_t)v * p->in_w + u) * p->channels + c];
            if (value > largest) largest = value;
          }
        }
        *out++ = (int8_t)micronet_clamp_value(largest, p->clamp_min, p->clamp_max);
      }
    }
  }
}

#if MICRONET_USE_REFERENCE

/* out[c] = mean over all pixels of in[pixel][c] */
void micronet_global_average_pool(int32_t pixels, int32_t channels, const int8_t *in, int8_t *out) {
  for (int32_t c = 0; c < channels; ++c) {
    int32_t sum = 0;
    for (int32_t i = 0; i < pixels; ++i) sum += in[(size_t)i * channels + c];
    out[c] = (int8_t)rounded_mean(sum, pixels);
  }
}

#elif MICRONET_USE_HELIUM

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
      for (; n > 0; --n, x += channels) sum = vaddq_s16(sum, vldrbq_z_s16(x, lanes));
      even = vaddq_s32(even, vmovlbq_s16(sum));
      odd = vaddq_s32(odd, vmovltq_s16(sum));
    }
    int32_t sums[8];
    vst2q_s32(sums, ((int32x4x2_t){{even, odd}}));
    const int32_t count = channels - c < 8 ? channels - c : 8;
    for (int32_t i = 0; i < count; ++i) *out++ = (int8_t)rounded_mean(sums[i], pixels);
  }
}

#elif MICRONET_USE_DSP

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
    for (int i = 0; i < 4; ++i) *out++ = (int8_t)rounded_mean(sum[i], pixels);
  }
  for (; c < channels; ++c, ++in) {
    int32_t sum = 0;
    for (int32_t i = 0; i < pixels; ++i) sum += in[(size_t)i * channels];
    *out++ = (int8_t)rounded_mean(sum, pixels);
  }
}

#endif
