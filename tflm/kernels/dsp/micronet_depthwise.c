/* DEPTHWISE_CONV_2D for Armv7E-M: any kernel, pixel by pixel, four channels at a time where the
 * multiplier is 1, 4, 8 .. */
#include "micronet_depthwise_quad.h"

#if MICRONET_DSP

/* One output pixel: the taps inside of the image are `outer` times `inner` ones. */
typedef struct {
  const int8_t *x, *w;
  int32_t inner, outer;
  int32_t x_inner, w_inner; /* bytes from tap to tap */
  int32_t x_outer, w_outer; /* from line to line of taps, less what the inner steps went */
} window;

#if MICRONET_ARM_DSP
#define QUAD_TAP(name, steps, x_index, w_index)                                             \
  MICRONET_INLINE void name(micronet_quad *q, const int8_t *x, int32_t xs, const int8_t *w, \
                            int32_t ws, micronet_pair minus) {                              \
    uint32_t a, b, c, d;                                                                    \
    __asm__(MICRONET_QUAD_TAP(x_index, w_index)                                             \
            : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [s0] "+&r"(q->sum0),  \
              [s1] "+&r"(q->sum1), [s2] "+&r"(q->sum2), [s3] "+&r"(q->sum3)                 \
            : [x] "r"(x), [xs] "r"(xs), [w] "r"(w), [ws] "r"(ws), [minus] "r"(minus)        \
            : "memory");                                                                    \
  }
#else
#define QUAD_TAP(name, steps, x_index, w_index)                                             \
  MICRONET_INLINE void name(micronet_quad *q, const int8_t *x, int32_t xs, const int8_t *w, \
                            int32_t ws, micronet_pair minus) {                              \
    micronet_quad_tap(q, x + (steps) * xs, w + (steps) * ws, minus);                        \
  }
#endif
QUAD_TAP(quad_tap_0, 0, "]", "]")
QUAD_TAP(quad_tap_1, 1, ", %[xs]]", ", %[ws]]")
QUAD_TAP(quad_tap_2, 2, ", %[xs], lsl #1]", ", %[ws], lsl #1]")
#undef QUAD_TAP

/* Multiplier 1: four channels have four inputs. */
static MICRONET_NOINLINE void quads_of_inputs(const window *v, int32_t channels, int32_t zero_point,
                                              const micronet_channel *record, int8_t *out) {
  const micronet_pair minus = micronet_make_pair(-zero_point, -zero_point);
  for (int32_t channel = 0; channel < channels; channel += 4) {
    micronet_quad q = {0, 0, 0, 0};
    const int8_t *x = v->x + channel, *w = v->w + channel;
    int32_t m = v->outer;
    do {
      const int32_t xs = v->x_inner, ws = v->w_inner;
      int32_t n = v->inner;
      for (; n >= 3; n -= 3) {
        quad_tap_0(&q, x, xs, w, ws, minus);
        quad_tap_1(&q, x, xs, w, ws, minus);
        quad_tap_2(&q, x, xs, w, ws, minus);
        x += 3 * xs;
        w += 3 * ws;
      }
      if (n >= 1) quad_tap_0(&q, x, xs, w, ws, minus);
      if (n == 2) quad_tap_1(&q, x, xs, w, ws, minus);
      x += n * xs + v->x_outer;
      w += n * ws + v->w_outer;
    } while (--m > 0);
    out = micronet_finish_quad(&q, &record, out);
  }
}

/* Multiplier 4, 8 ..: four channels share an input. */
static MICRONET_NOINLINE void quads_of_one_input(const window *v, int32_t channels,
                                                 int32_t zero_point, const micronet_channel *record,
                                                 int8_t *out, int32_t multiplier) {
  for (int32_t channel = 0; channel < channels; channel += 4) {
    micronet_quad q = {0, 0, 0, 0};
    const int8_t *x = v->x + channel / multiplier, *w = v->w + channel;
    for (int32_t m = v->outer; m > 0; --m, x += v->x_outer, w += v->w_outer) {
      for (int32_t n = v->inner; n > 0; --n, x += v->x_inner, w += v->w_inner) {
        const uint32_t weights = micronet_load4(w);
        const micronet_pair even = micronet_sxtb16(weights), odd = micronet_sxtb16_odd(weights);
        const uint32_t input = (uint32_t)(*x - zero_point);
        q.sum0 = micronet_smlabb(input, even, q.sum0);
        q.sum1 = micronet_smlabb(input, odd, q.sum1);
        q.sum2 = micronet_smlabt(input, even, q.sum2);
        q.sum3 = micronet_smlabt(input, odd, q.sum3);
      }
    }
    out = micronet_finish_quad(&q, &record, out);
  }
}

/* Any multiplier, any source. */
static MICRONET_NOINLINE void one_by_one(const window *v, const micronet_conv_params *p,
                                         int8_t *out) {
  const int32_t zero_point = p->shape.input_zero_point;
  const micronet_channel *record = p->channels;
  for (int32_t channel = 0; channel < p->shape.out_c; ++channel, ++record) {
    int32_t doubled_acc = record->doubled_bias;
    const int8_t *x = v->x + micronet_source(p, channel), *w = v->w + channel;
    for (int32_t m = v->outer; m > 0; --m, x += v->x_outer, w += v->w_outer) {
      for (int32_t n = v->inner; n > 0; --n, x += v->x_inner, w += v->w_inner)
        doubled_acc += 2 * *w * (*x - zero_point);
    }
    out[channel] =
        micronet_requantize(doubled_acc, record->multiplier, record->offset, record->shift);
  }
}

static void depthwise_pixels(const micronet_conv_params *p, const int8_t *in, int8_t *out) {
  const int32_t in_c = p->shape.in_c, out_c = p->shape.out_c, multiplier = out_c / in_c;
  const int32_t in_pitch = p->shape.in_w * in_c, w_pitch = p->shape.kernel_w * out_c;
  for (int y = 0; y < p->shape.out_h; ++y) {
    const int top = y * p->shape.stride_h - p->shape.pad_top;
    const int ky = top < 0 ? -top : 0;
    const int rows =
        (top + p->shape.kernel_h > p->shape.in_h ? p->shape.in_h - top : p->shape.kernel_h) - ky;
    for (int x = 0; x < p->shape.out_w; ++x, out += out_c) {
      const int left = x * p->shape.stride_w - p->shape.pad_left;
      const int kx = left < 0 ? -left : 0;
      const int columns =
          (left + p->shape.kernel_w > p->shape.in_w ? p->shape.in_w - left : p->shape.kernel_w) -
          kx;
      window v = {in + (top + ky) * in_pitch + (left + kx) * in_c,
                  p->weights + ky * w_pitch + kx * out_c,
                  columns,
                  rows,
                  in_c,
                  out_c,
                  in_pitch - columns * in_c,
                  w_pitch - columns * out_c};
      if (columns == 1 || rows <= 0 || columns <= 0) { /* a column: its taps are the inner ones */
        const window column = {v.x, v.w, rows, columns, in_pitch, w_pitch, 0, 0};
        v = column;
        if (rows <= 0) v.outer = 0;
      }
      if (p->source) {
        one_by_one(&v, p, out);
      } else if (multiplier == 1 && out_c % 4 == 0) {
        quads_of_inputs(&v, out_c, p->shape.input_zero_point, p->channels, out);
      } else if (multiplier % 4 == 0) {
        quads_of_one_input(&v, out_c, p->shape.input_zero_point, p->channels, out, multiplier);
      } else {
        one_by_one(&v, p, out);
      }
    }
  }
}

micronet_status micronet_depthwise(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                   void *scratch, size_t scratch_bytes) {
  if (micronet_depthwise_along_an_axis(p, in, out) == MICRONET_OK) return MICRONET_OK;
  if (micronet_depthwise_3x3(p, in, out, scratch, scratch_bytes) != MICRONET_OK)
    depthwise_pixels(p, in, out);
  micronet_apply_clamp((int32_t)p->shape.out_h * p->shape.out_w * p->shape.out_c,
                       p->shape.clamp_min, p->shape.clamp_max, out);
  return MICRONET_OK;
}

#endif
