/* AVERAGE_POOL_2D and MAX_POOL_2D. */
#include "micronet_pool.h"

#if MICRONET_REFERENCE

/* out[y][x][c] = mean over the taps inside of the image of in[y'][x'][c] */
void micronet_average_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out) {
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      const micronet_window w = micronet_pool_window(p, y, x);
      for (int c = 0; c < p->channels; ++c) {
        int32_t sum = 0;
        for (int32_t v = 0; v < w.rows; ++v) {
          for (int32_t u = 0; u < w.columns; ++u)
            sum += in[w.offset + v * w.pitch + u * w.step + c];
        }
        const int32_t mean = micronet_rounded_mean(sum, w.rows * w.columns);
        *out++ = (int8_t)micronet_clamp_value(mean, p->clamp_min, p->clamp_max);
      }
    }
  }
}

/* out[y][x][c] = the largest of them */
void micronet_max_pool(const micronet_pool_params *p, const int8_t *in, int8_t *out) {
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      const micronet_window w = micronet_pool_window(p, y, x);
      for (int c = 0; c < p->channels; ++c) {
        int32_t largest = -128;
        for (int32_t v = 0; v < w.rows; ++v) {
          for (int32_t u = 0; u < w.columns; ++u) {
            const int32_t value = in[w.offset + v * w.pitch + u * w.step + c];
            if (value > largest) largest = value;
          }
        }
        *out++ = (int8_t)micronet_clamp_value(largest, p->clamp_min, p->clamp_max);
      }
    }
  }
}

#endif
