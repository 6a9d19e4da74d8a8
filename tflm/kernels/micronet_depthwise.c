/* DEPTHWISE_CONV_2D; made for the kx1 and 1xk kernels of MicroNet. */
#include "micronet_simd.h"

#if MICRONET_USE_REFERENCE

/* out[y][x][o] = requantized(bias2[o] + sum over taps inside of the image of
 *                            2 * w[ky][kx][o] * (in[y * stride - pad + ky][x * stride - pad + kx][o / multiplier] - zero point)) */
void micronet_depthwise(const micronet_conv *p, const int8_t *in, int8_t *out) {
  const int multiplier = p->out_c / p->in_c;
  int8_t *o_ptr = out;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      for (int o = 0; o < p->out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->bias2;
        for (int ky = 0; ky < p->kernel_h; ++ky) {
          const int in_y = y * p->stride_h - p->pad_top + ky;
          for (int kx = 0; kx < p->kernel_w; ++kx) {
            const int in_x = x * p->stride_w - p->pad_left + kx;
            if (in_y < 0 || in_y >= p->in_h || in_x < 0 || in_x >= p->in_w) continue;
            const int8_t v = in[((size_t)in_y * p->in_w + in_x) * p->in_c + o / multiplier];
            acc += 2 * p->weights[(ky * p->kernel_w + kx) * p->out_c + o] * (v - p->input_zero_point);
          }
        }
        *o_ptr++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
  }
  micronet_apply_clamp((int32_t)(o_ptr - out), p->clamp_min, p->clamp_max, out);
}

#else

/* Channel by channel. A strip is a run of outputs of one channel that use the same taps: along a 1-D kernel's other axis
 * that is a whole line of the map, so that weights and record stay in registers and borders are just shorter kernels.
 * The input's zero point is folded into the strip's bias: sum w * (x - z) = sum w * x - z * sum w. */
typedef struct {
  const int8_t *in;
  int8_t *out;
  int32_t tap_step, in_step, out_step; /* bytes from tap to tap, from output to output */
  int32_t count;
  const micronet_channel *record;
} strip;

/* The registers of an Armv7E-M hold all of this for up to 6 taps when shift and the last tap share one. */
#define STRIP(name, sum_of_taps)                                                                  \
  static void name(const strip *s, int32_t bias2, const int16_t *w) {                             \
    const int8_t *x = s->in;                                                                      \
    int8_t *out = s->out;                                                                         \
    const int32_t step = s->tap_step, in_step = s->in_step, out_step = s->out_step;               \
    const int32_t multiplier = s->record->multiplier, offset = s->record->offset;                 \
    const int32_t shift = s->record->shift;                                                       \
    const micronet_pair w01 = micronet_make_pair(w[0], w[1]);                                     \
    const micronet_pair w23 = micronet_make_pair(w[2], w[3]);                                     \
    const micronet_pair w45 = micronet_make_pair(w[4], w[5]);                                     \
    (void)step, (void)w23, (void)w45;                                                             \
    int32_t count = s->count;                                                                     \
    do {                                                                                          \
      int32_t acc = bias2;                                                                        \
      sum_of_taps;                                                                                \
      *out = micronet_requantize(acc, multiplier, offset, shift);                                 \
      x += in_step;                                                                               \
      out += out_step;                                                                            \
    } while (--count);                                                                            \
  }
#define TAP0 acc = micronet_smlabb((uint32_t)x[0], w01, acc)
#define TAP1 acc = micronet_smlabt((uint32_t)x[step], w01, acc)
#define TAP2 acc = micronet_smlabb((uint32_t)x[2 * step], w23, acc)
#define TAP3 acc = micronet_smlabt((uint32_t)x[3 * step], w23, acc)
#define TAP4 acc = micronet_smlabb((uint32_t)x[4 * step], w45, acc)
#define TAP5 acc = micronet_smlabt((uint32_t)x[5 * step], w45, acc)

STRIP(strip_1, TAP0)
STRIP(strip_2, TAP0; TAP1)
STRIP(strip_3, TAP0; TAP1; TAP2)
STRIP(strip_4, TAP0; TAP1; TAP2; TAP3)
STRIP(strip_5, TAP0; TAP1; TAP2; TAP3; TAP4)
STRIP(strip_6, TAP0; TAP1; TAP2; TAP3; TAP4; TAP5)

#define MOST_TAPS 6

static void run_strip(const strip *s, int taps, int32_t bias2, const int16_t *w) {
  switch (taps) {
    case 1: strip_1(s, bias2, w); break;
    case 2: strip_2(s, bias2, w); break;
    case 3: strip_3(s, bias2, w); break;
    case 4: strip_4(s, bias2, w); break;
    case 5: strip_5(s, bias2, w); break;
    default: strip_6(s, bias2, w); break;
  }
}

/* One axis of the map: how many places, and how far apart in memory. */
typedef struct {
  int32_t in, out, stride, pad;
  int32_t in_pitch, out_pitch;
} axis;

/* A kernel along one axis; every output line across it is a strip. */
static void depthwise_1d(const micronet_conv *p, int taps, const axis *along, const axis *across, const int8_t *in, int8_t *out) {
  const int multiplier = p->out_c / p->in_c;
  strip s;
  s.tap_step = along->in_pitch;
  s.in_step = across->stride * across->in_pitch;
  s.out_step = across->out_pitch;
  s.count = across->out;
  s.record = p->channels;
  for (int o = 0, copies = 0; o < p->out_c; ++o, ++s.record) {
    int16_t w[2 * MOST_TAPS] = {0};
    int32_t sum = 0;
    for (int t = 0; t < taps; ++t) {
      w[t] = (int16_t)(2 * p->weights[t * p->out_c + o]);
      sum += w[t];
    }
    const int32_t full_bias2 = s.record->bias2 - p->input_zero_point * sum;
    int32_t start = -along->pad;
    for (int i = 0; i < along->out; ++i, start += along->stride) {
      const int first = start < 0 ? -start : 0;
      const int end = start + taps > along->in ? along->in - start : taps;
      int32_t bias2 = full_bias2;
      for (int t = 0; t < first; ++t) bias2 += p->input_zero_point * w[t];
      for (int t = end; t < taps; ++t) bias2 += p->input_zero_point * w[t];
      s.in = in + (start + first) * along->in_pitch;
      s.out = out + i * along->out_pitch;
      run_strip(&s, end - first, bias2, w + first);
    }
    ++out;
    if (++copies == multiplier) {
      copies = 0;
      ++in;
    }
  }
}

/* out[y][x][o] = requantized(bias2[o] + sum over taps inside of the image of
 *                            2 * w[ky][kx][o] * (in[y * stride - pad + ky][x * stride - pad + kx][o / multiplier] - zero point)) */
static void depthwise_2d(const micronet_conv *p, const int8_t *in, int8_t *out) {
  const int multiplier = p->out_c / p->in_c;
  int8_t *o_ptr = out;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      for (int o = 0; o < p->out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->bias2;
        for (int ky = 0; ky < p->kernel_h; ++ky) {
          const int in_y = y * p->stride_h - p->pad_top + ky;
          for (int kx = 0; kx < p->kernel_w; ++kx) {
            const int in_x = x * p->stride_w - p->pad_left + kx;
            if (in_y < 0 || in_y >= p->in_h || in_x < 0 || in_x >= p->in_w) continue;
            const int8_t v = in[((size_t)in_y * p->in_w + in_x) * p->in_c + o / multiplier];
            acc += 2 * p->weights[(ky * p->kernel_w + kx) * p->out_c + o] * (v - p->input_zero_point);
          }
        }
        *o_ptr++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
  }
}

/* A strip of one output column or row needs every place of the other axis inside of the image. */
static int plain_axis(const axis *a) { return a->pad == 0 && (a->out - 1) * a->stride < a->in; }
static int every_output_sees_the_image(const axis *a, int kernel) {
  return a->pad < kernel && (a->out - 1) * a->stride - a->pad < a->in;
}

void micronet_depthwise(const micronet_conv *p, const int8_t *in, int8_t *out) {
  const axis vertical = {p->in_h, p->out_h, p->stride_h, p->pad_top, p->in_w * p->in_c, p->out_w * p->out_c};
  const axis horizontal = {p->in_w, p->out_w, p->stride_w, p->pad_left, p->in_c, p->out_c};
  if (p->kernel_w == 1 && p->kernel_h <= MOST_TAPS && plain_axis(&horizontal) && every_output_sees_the_image(&vertical, p->kernel_h)) {
    depthwise_1d(p, p->kernel_h, &vertical, &horizontal, in, out);
  } else if (p->kernel_h == 1 && p->kernel_w <= MOST_TAPS && plain_axis(&vertical) && every_output_sees_the_image(&horizontal, p->kernel_w)) {
    depthwise_1d(p, p->kernel_w, &horizontal, &vertical, in, out);
  } else {
    depthwise_2d(p, in, out);
  }
  micronet_apply_clamp((int32_t)p->out_h * p->out_w * p->out_c, p->clamp_min, p->clamp_max, out);
}

#endif
