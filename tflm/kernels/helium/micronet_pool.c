/* AVERAGE_POOL_2D and MAX_POOL_2D for Helium. */
#include "micronet_helium.h"
#include "micronet_pool.h"

#if MICRONET_HELIUM

void micronet_max_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out) {
  const int8x16_t low = vdupq_n_s8(p->clamp_min), high = vdupq_n_s8(p->clamp_max);
  const int32_t channels = p->channels;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x, out += channels) {
      const micronet_window w = micronet_pool_window(p, y, x);
      for (int32_t c = 0; c < channels; c += 16) {
        const mve_pred16_t lanes = vctp8q((uint32_t)(channels - c));
        const int8_t *row = in + w.offset + c;
        int8x16_t most = low;
        for (int32_t rows = w.rows; rows > 0; --rows, row += w.pitch) {
          const int8_t *v = row;
          for (int32_t n = w.columns; n > 0; --n, v += w.step)
            most = vmaxq_s8(most, vldrbq_z_s8(v, lanes));
        }
        vstrbq_p_s8(out + c, vminq_s8(most, high), lanes);
      }
    }
  }
}

/* Eight channels at once, summed in 16 bits for 256 values at most. */
static void sums_of(const micronet_window *w, const int8_t *in, mve_pred16_t lanes, int32_t *sum) {
  int32x4_t even = vdupq_n_s32(0), odd = vdupq_n_s32(0);
  int16x8_t some = vdupq_n_s16(0);
  int32_t room = 256;
  for (int32_t rows = w->rows; rows > 0; --rows, in += w->pitch) {
    const int8_t *x = in;
    for (int32_t left = w->columns; left > 0;) {
      int32_t n = left < room ? left : room;
      left -= n;
      room -= n;
      for (; n > 0; --n, x += w->step) some = vaddq_s16(some, vldrbq_z_s16(x, lanes));
      if (room > 0) continue;
      even = vaddq_s32(even, vmovlbq_s16(some));
      odd = vaddq_s32(odd, vmovltq_s16(some));
      some = vdupq_n_s16(0);
      room = 256;
    }
  }
  even = vaddq_s32(even, vmovlbq_s16(some));
  odd = vaddq_s32(odd, vmovltq_s16(some));
  vst2q_s32(sum, ((int32x4x2_t){{even, odd}}));
}

void micronet_average_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out) {
  const int32_t channels = p->channels;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      const micronet_window w = micronet_pool_window(p, y, x);
      for (int32_t c = 0; c < channels; c += 8) {
        const int32_t n = channels - c < 8 ? channels - c : 8;
        int32_t sum[8];
        sums_of(&w, in + w.offset + c, vctp16q((uint32_t)n), sum);
        for (int32_t i = 0; i < n; ++i) {
          const int32_t mean = micronet_rounded_mean(sum[i], w.rows * w.columns);
          *out++ = (int8_t)micronet_clamp_value(mean, p->clamp_min, p->clamp_max);
        }
      }
    }
  }
}

#endif
