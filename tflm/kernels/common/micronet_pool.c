/* AVERAGE_POOL_2D and MAX_POOL_2D. */
#include "micronet_arithmetic.h"

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
          for (int u = x0; u < x1; ++u) sum += in[((ptrdiff_t)v * p->in_w + u) * p->channels + c];
        }
        const int32_t mean = micronet_rounded_mean(sum, (y1 - y0) * (x1 - x0));
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
            const int32_t value = in[((ptrdiff_t)v * p->in_w + u) * p->channels + c];
            if (value > largest) largest = value;
          }
        }
        *out++ = (int8_t)micronet_clamp_value(largest, p->clamp_min, p->clamp_max);
      }
    }
  }
}
