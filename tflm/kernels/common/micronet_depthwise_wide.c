/* DEPTHWISE_CONV_2D with channels whose scales leave the records of the fast kernels. */
#include "micronet_bands.h"
#include "micronet_depthwise.h"

/* The part of a window's taps that lies inside of the image. */
static int32_t first_tap(int32_t start) { return start < 0 ? -start : 0; }
static int32_t end_tap(int32_t start, int32_t taps, int32_t size) {
  return start + taps > size ? size - start : taps;
}

/* The channels of `wide`, of all rows. */
static void wide_channels(const micronet_conv_params *p, const micronet_depthwise_wide_params *wide,
                          const int8_t *in, int8_t *out) {
  const int32_t in_c = p->shape.in_c, out_c = p->shape.out_c, in_w = p->shape.in_w,
                zero_point = p->shape.input_zero_point;
  const int32_t low = p->shape.clamp_min, high = p->shape.clamp_max, columns = p->shape.kernel_w;
  for (int32_t i = 0; i < wide->shape.count; ++i) {
    const int32_t o = wide->channel[i], multiplier = wide->multiplier[i], shift = wide->shift[i];
    const int8_t *const weights = wide->weights + i * p->shape.kernel_h * columns;
    const int8_t *const x0 = in + micronet_source(p, o);
    int8_t *to = out + o;
    for (int32_t y = 0; y < p->shape.out_h; ++y) {
      const int32_t top = y * p->shape.stride_h - p->shape.pad_top;
      const int32_t first_row = first_tap(top),
                    end_row = end_tap(top, p->shape.kernel_h, p->shape.in_h);
      for (int32_t x = 0; x < p->shape.out_w; ++x, to += out_c) {
        const int32_t left = x * p->shape.stride_w - p->shape.pad_left;
        const int32_t first = first_tap(left), end = end_tap(left, columns, in_w);
        int32_t acc = wide->bias[i];
        for (int32_t ky = first_row; ky < end_row; ++ky) {
          for (int32_t kx = first; kx < end; ++kx) {
            const int32_t v = x0[((top + ky) * in_w + left + kx) * in_c];
            acc = micronet_wrap_add(acc, weights[ky * columns + kx] * (v - zero_point));
          }
        }
        acc = micronet_wrap_add(micronet_scale(acc, multiplier, shift),
                                wide->shape.output_zero_point);
        *to = (int8_t)micronet_clamp_value(acc, low, high);
      }
    }
  }
}

micronet_status micronet_depthwise_wide(const micronet_conv_params *p,
                                        const micronet_depthwise_wide_params *wide,
                                        micronet_conv_kernel rest, int32_t rows, const int8_t *in,
                                        int8_t *out, void *scratch, size_t scratch_bytes) {
  const int32_t in_pitch = (int32_t)p->shape.in_w * p->shape.in_c;
  const int32_t out_pitch = (int32_t)p->shape.out_w * p->shape.out_c;
  for (int32_t y = 0; y < p->shape.out_h; y += rows) {
    const micronet_band band = micronet_band_of(p, y, rows);
    const int8_t *const from = in + band.start * in_pitch;
    int8_t *const to = out + y * out_pitch;
    const micronet_status status = rest(&band.params, from, to, scratch, scratch_bytes);
    if (status != MICRONET_OK) return status;
    wide_channels(&band.params, wide, from, to);
  }
  return MICRONET_OK;
}
