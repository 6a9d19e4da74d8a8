/* AVERAGE_POOL_2D and MAX_POOL_2D for Armv7E-M: four channels at a time. */
#include "micronet_dsp.h"
#include "micronet_pool.h"

#if MICRONET_DSP

/* The greatest of four channels. */
static uint32_t greatest(const micronet_window *w, const int8_t *in) {
  uint32_t most = 0x80808080u;
  for (int32_t rows = w->rows; rows > 0; --rows, in += w->pitch) {
    const int8_t *x = in;
    for (int32_t n = w->columns; n > 0; --n, x += w->step)
      most = micronet_max4(most, micronet_load4(x));
  }
  return most;
}

void micronet_max_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out) {
  const uint32_t low = micronet_four_times(p->clamp_min), high = micronet_four_times(p->clamp_max);
  const int32_t channels = p->channels;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      const micronet_window w = micronet_pool_window(p, y, x);
      const int8_t *from = in + w.offset;
      int32_t c = 0;
      for (; c + 4 <= channels; c += 4, from += 4, out += 4)
        micronet_put4(out, micronet_min4(micronet_max4(greatest(&w, from), low), high));
      for (; c < channels; ++c, ++from) {
        int32_t most = -128;
        for (int32_t r = 0; r < w.rows; ++r) {
          for (int32_t n = 0; n < w.columns; ++n) {
            const int32_t value = from[r * w.pitch + n * channels];
            if (value > most) most = value;
          }
        }
        *out++ = (int8_t)micronet_clamp_value(most, p->clamp_min, p->clamp_max);
      }
    }
  }
}

/* Four sums; no more than 256 values go into 16 bits. */
static void sums_of(const micronet_window *w, const int8_t *in, int32_t sum[4]) {
  micronet_pair even = 0, odd = 0;
  int32_t room = 256;
  for (int i = 0; i < 4; ++i) sum[i] = 0;
  for (int32_t rows = w->rows; rows > 0; --rows, in += w->pitch) {
    const int8_t *x = in;
    for (int32_t left = w->columns; left > 0;) {
      int32_t n = left < room ? left : room;
      left -= n;
      room -= n;
      do {
        const uint32_t word = micronet_load4(x);
        even = micronet_sxtab16(even, word);
        odd = micronet_sxtab16_odd(odd, word);
        x += w->step;
      } while (--n);
      if (room > 0) continue;
      sum[0] += micronet_low(even);
      sum[1] += micronet_low(odd);
      sum[2] += micronet_high(even);
      sum[3] += micronet_high(odd);
      even = odd = 0;
      room = 256;
    }
  }
  sum[0] += micronet_low(even);
  sum[1] += micronet_low(odd);
  sum[2] += micronet_high(even);
  sum[3] += micronet_high(odd);
}

void micronet_average_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out) {
  const int32_t channels = p->channels;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      const micronet_window w = micronet_pool_window(p, y, x);
      const int32_t count = w.rows * w.columns;
      const int8_t *from = in + w.offset;
      int32_t c = 0;
      for (; c + 4 <= channels; c += 4, from += 4) {
        int32_t sum[4];
        sums_of(&w, from, sum);
        for (int i = 0; i < 4; ++i)
          *out++ = (int8_t)micronet_clamp_value(micronet_rounded_mean(sum[i], count), p->clamp_min,
                                                p->clamp_max);
      }
      for (; c < channels; ++c, ++from) {
        int32_t sum = 0;
        for (int32_t r = 0; r < w.rows; ++r) {
          for (int32_t n = 0; n < w.columns; ++n) sum += from[r * w.pitch + n * channels];
        }
        *out++ = (int8_t)micronet_clamp_value(micronet_rounded_mean(sum, count), p->clamp_min,
                                              p->clamp_max);
      }
    }
  }
}

#endif
