/* DEPTHWISE_CONV_2D for Armv7E-M; the maths and the reference form are in micronet_depthwise.c. */
#include "micronet_simd.h"

#if MICRONET_USE_DSP

/* Two ways.
 *
 * Strips, channel by channel, for 1-D kernels. A strip is a run of outputs of one channel that use the same taps: along the
 * kernel's other axis that is a whole line of the map, so that weights and record stay in registers and borders are just
 * shorter kernels. The input's zero point is folded into the strip's bias: sum w * (x - z) = sum w * x - z * sum w.
 *
 * Quads, pixel by pixel and four channels at a time, for 2-D kernels and for maps so small that starting strips would cost
 * more than the strips. */

#define MOST_TAPS 6

typedef struct {
  int32_t tap_step, in_step, out_step; /* bytes from tap to tap, from output to output */
  int32_t count;
  int32_t multiplier, offset, shift;
  micronet_pair w01, w23, w45;
  micronet_pair last; /* the last weight over the shift: one register for both */
} strip;

/* Written so that all fits the 14 registers for up to 5 taps. */
#define STRIP(name, sum_of_taps, moved)                                                           \
  static void name(const strip *s, const int8_t *x, int8_t *out, int32_t bias2) {                 \
    const int32_t t = s->tap_step, out_step = s->out_step, in_step = s->in_step - (moved) * t;    \
    const int32_t multiplier = s->multiplier, offset = s->offset;                                 \
    const micronet_pair w01 = s->w01, w23 = s->w23, w45 = s->w45, last = s->last;                 \
    int32_t count = s->count;                                                                     \
    (void)w01, (void)w23, (void)w45;                                                              \
    do {                                                                                          \
      int32_t acc = bias2;                                                                        \
      sum_of_taps;                                                                                \
      *out = micronet_requantize_packed(acc, multiplier, offset, last);                           \
      x += in_step;                                                                               \
      out += out_step;                                                                            \
    } while (--count);                                                                            \
  }
#define TAP(smla, value, w) acc = smla((uint32_t)(value), w, acc)
#define TAP_0 TAP(micronet_smlabb, x[0], w01)
#define TAP_1 TAP(micronet_smlabt, x[t], w01)
#define TAP_2 TAP(micronet_smlabb, x[0], w23)
#define TAP_3 TAP(micronet_smlabt, x[t], w23)
#define TAP_4 TAP(micronet_smlabb, micronet_load1_twice(x, t), w45)
#define TAP_5 TAP(micronet_smlabt, x[3 * t], w45)
#define MOVE x += 2 * t

STRIP(strip_1, TAP(micronet_smlabt, x[0], last), 0)
STRIP(strip_2, TAP_0; TAP_1, 0)
STRIP(strip_3, TAP_0; TAP_1; TAP(micronet_smlabt, micronet_load1_twice(x, t), last), 0)
STRIP(strip_4, TAP_0; TAP_1; MOVE; TAP_2; TAP_3, 2)
STRIP(strip_5, TAP_0; TAP_1; MOVE; TAP_2; TAP_3; TAP(micronet_smlabt, micronet_load1_twice(x, t), last), 2)
STRIP(strip_6, TAP_0; TAP_1; MOVE; TAP_2; TAP_3; TAP_4; TAP_5, 2)

static void (*const strip_of[MOST_TAPS])(const strip *, const int8_t *, int8_t *, int32_t) = {
    strip_1, strip_2, strip_3, strip_4, strip_5, strip_6};

/* Three taps, in_step and out_step equal or as 1 to 2: one index, counted up to 0, walks input and output. */
#define INDEXED_STRIP(name, out_index)                                                            \
  static void name(const strip *s, const int8_t *x0, int8_t *out, int32_t bias2) {                \
    const int32_t in_step = s->in_step;                                                           \
    const int32_t multiplier = s->multiplier, offset = s->offset;                                 \
    const micronet_pair w01 = s->w01, last = s->last;                                             \
    int32_t i = -in_step * s->count;                                                              \
    x0 -= i;                                                                                      \
    out -= out_index;                                                                             \
    const int8_t *x1 = x0 + s->tap_step;                                                          \
    const int8_t *x2 = x1 + s->tap_step;                                                          \
    do {                                                                                          \
      int32_t acc = bias2;                                                                        \
      TAP(micronet_smlabb, x0[i], w01);                                                           \
      TAP(micronet_smlabt, x1[i], w01);                                                           \
      TAP(micronet_smlabt, x2[i], last);                                                          \
      out[out_index] = micronet_requantize_packed(acc, multiplier, offset, last);                 \
      i += in_step;                                                                               \
    } while (i != 0);                                                                             \
  }
INDEXED_STRIP(strip_3_equal_steps, i)
INDEXED_STRIP(strip_3_double_steps, 2 * i)

static void set_weights(strip *s, const int16_t *w, int32_t taps) {
  s->w01 = micronet_make_pair(w[0], w[1]);
  s->w23 = micronet_make_pair(w[2], w[3]);
  s->w45 = micronet_make_pair(w[4], w[5]);
  s->last = micronet_make_pair(s->shift, w[taps - 1]);
}

/* One axis of the map: how many places, and how far apart in memory. */
typedef struct {
  int32_t in, out, stride, pad;
  int32_t in_pitch, out_pitch;
} axis;

static void depthwise_strips(const micronet_conv *p, int taps, const axis *along, const axis *across, const int8_t *in,
                             int8_t *out) {
  const int32_t in_c = p->in_c, out_c = p->out_c, zero_point = p->input_zero_point;
  const micronet_channel *record = p->channels;
  strip whole = {along->in_pitch, across->stride * across->in_pitch, across->out_pitch, across->out, 0, 0, 0, 0, 0, 0, 0};
  void (*run)(const strip *, const int8_t *, int8_t *, int32_t) = strip_of[taps - 1];
  if (taps == 3 && whole.out_step == whole.in_step) run = strip_3_equal_steps;
  if (taps == 3 && whole.out_step == 2 * whole.in_step) run = strip_3_double_steps;
  int32_t phase = 0; /* moves to the next input after out_c / in_c outputs */
  for (int o = 0; o < out_c; ++o, ++record, ++out) {
    int16_t w[2 * MOST_TAPS] = {0}; /* zeros behind the taps: a shorter kernel at the border may load them */
    int32_t sum = 0;
    const int8_t *v = p->weights + o;
    for (int t = 0; t < taps; ++t, v += out_c) {
      w[t] = (int16_t)(2 * *v);
      sum += w[t];
    }
    whole.multiplier = record->multiplier;
    whole.offset = record->offset;
    whole.shift = record->shift;
    set_weights(&whole, w, taps);
    const int32_t bias2 = record->bias2 - zero_point * sum;
    int32_t start = -along->pad;
    const int8_t *x = in + start * along->in_pitch;
    int8_t *out_line = out;
    for (int i = 0; i < along->out; ++i) {
      const int32_t beyond = start + taps - along->in; /* taps that lie behind the image */
      if (start >= 0 && beyond <= 0) {
        run(&whole, x, out_line, bias2);
      } else {
        const int32_t first = start < 0 ? -start : 0;
        const int32_t end = beyond > 0 ? taps - beyond : taps;
        strip part = whole;
        int32_t inside = 0;
        for (int32_t t = first; t < end; ++t) inside += w[t];
        set_weights(&part, w + first, end - first);
        strip_of[end - first - 1](&part, x + first * along->in_pitch, out_line,
                                  record->bias2 - zero_point * inside);
      }
      start += along->stride;
      x += along->stride * along->in_pitch;
      out_line += along->out_pitch;
    }
    phase += in_c;
    if (phase == out_c) {
      phase = 0;
      ++in;
    }
  }
}

/* One output pixel: the taps inside of the image are `outer` times `inner` ones. */
typedef struct {
  const int8_t *x, *w;
  int32_t inner, outer;
  int32_t x_inner, w_inner; /* bytes from tap to tap */
  int32_t x_outer, w_outer; /* from line to line of taps, less what the inner steps went */
} window;

typedef struct {
  int32_t sum0, sum1, sum2, sum3; /* of four neighbouring channels */
} quad;

/* One tap of four channels with an input each: ten instructions, kept together because the compiler's scheduling of them
 * needs more registers than there are. */
#if MICRONET_ARM_DSP
#define QUAD_TAP(name, address, index)                                                            \
  MICRONET_INLINE void name(quad *q, const int8_t *x, int32_t xs, const int8_t *w, int32_t ws,    \
                            micronet_pair minus) {                                                \
    uint32_t a, b, c, d;                                                                          \
    __asm__("ldr %[a], [%[x]" address "\n ldr %[b], [%[w]" index "\n"                             \
            "sxtab16 %[c], %[minus], %[a]\n sxtab16 %[a], %[minus], %[a], ror #8\n"               \
            "sxtb16 %[d], %[b]\n sxtb16 %[b], %[b], ror #8\n"                                     \
            "smlabb %[s0], %[c], %[d], %[s0]\n smlabb %[s1], %[a], %[b], %[s1]\n"                 \
            "smlatt %[s2], %[c], %[d], %[s2]\n smlatt %[s3], %[a], %[b], %[s3]\n"                 \
            : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [s0] "+&r"(q->sum0),        \
              [s1] "+&r"(q->sum1), [s2] "+&r"(q->sum2), [s3] "+&r"(q->sum3)                       \
            : [x] "r"(x), [xs] "r"(xs), [w] "r"(w), [ws] "r"(ws), [minus] "r"(minus)              \
            : "memory");                                                                          \
  }
QUAD_TAP(quad_tap_0, "]", "]")
QUAD_TAP(quad_tap_1, ", %[xs]]", ", %[ws]]")
QUAD_TAP(quad_tap_2, ", %[xs], lsl #1]", ", %[ws], lsl #1]")
#else
#define QUAD_TAP(name, tap)                                                                       \
  MICRONET_INLINE void name(quad *q, const int8_t *x, int32_t xs, const int8_t *w, int32_t ws,    \
                            micronet_pair minus) {                                                \
    const uint32_t inputs = micronet_load4(x + (tap) * xs), weights = micronet_load4(w + (tap) * ws); \
    const micronet_pair c = micronet_sxtab16(minus, inputs), a = micronet_sxtab16_odd(minus, inputs); \
    const micronet_pair d = micronet_sxtb16(weights), b = micronet_sxtb16_odd(weights);           \
    q->sum0 = micronet_smlabb(c, d, q->sum0);                                                     \
    q->sum1 = micronet_smlabb(a, b, q->sum1);                                                     \
    q->sum2 = micronet_smlatt(c, d, q->sum2);                                                     \
    q->sum3 = micronet_smlatt(a, b, q->sum3);                                                     \
  }
QUAD_TAP(quad_tap_0, 0)
QUAD_TAP(quad_tap_1, 1)
QUAD_TAP(quad_tap_2, 2)
#endif

MICRONET_INLINE int8_t *finish_quad(const quad *q, const micronet_channel **record, int8_t *out) {
  micronet_channel c = micronet_next_channel(record);
  *out++ = micronet_requantize(c.bias2 + q->sum0 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_channel(record);
  *out++ = micronet_requantize(c.bias2 + q->sum1 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_channel(record);
  *out++ = micronet_requantize(c.bias2 + q->sum2 * 2, c.multiplier, c.offset, c.shift);
  c = micronet_next_channel(record);
  *out++ = micronet_requantize(c.bias2 + q->sum3 * 2, c.multiplier, c.offset, c.shift);
  return out;
}

/* Multiplier 1: four channels have four inputs. */
static MICRONET_NOINLINE void quads_of_inputs(const window *v, int32_t channels, int32_t zero_point,
                                              const micronet_channel *record, int8_t *out) {
  const micronet_pair minus = micronet_make_pair(-zero_point, -zero_point);
  for (int32_t channel = 0; channel < channels; channel += 4) {
    quad q = {0, 0, 0, 0};
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
    out = finish_quad(&q, &record, out);
  }
}

/* Multiplier 4, 8 ..: four channels share an input. */
static MICRONET_NOINLINE void quads_of_one_input(const window *v, int32_t channels, int32_t zero_point,
                                                 const micronet_channel *record, int8_t *out, int32_t multiplier) {
  for (int32_t channel = 0; channel < channels; channel += 4) {
    quad q = {0, 0, 0, 0};
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
    out = finish_quad(&q, &record, out);
  }
}

/* Any multiplier. */
static MICRONET_NOINLINE void one_by_one(const window *v, int32_t channels, int32_t zero_point, const micronet_channel *record,
                                         int8_t *out, int32_t multiplier) {
  for (int32_t channel = 0; channel < channels; ++channel, ++record) {
    int32_t acc2 = record->bias2;
    const int8_t *x = v->x + channel / multiplier, *w = v->w + channel;
    for (int32_t m = v->outer; m > 0; --m, x += v->x_outer, w += v->w_outer) {
      for (int32_t n = v->inner; n > 0; --n, x += v->x_inner, w += v->w_inner) acc2 += 2 * *w * (*x - zero_point);
    }
    out[channel] = micronet_requantize(acc2, record->multiplier, record->offset, record->shift);
  }
}

static void depthwise_pixels(const micronet_conv *p, const int8_t *in, int8_t *out) {
  const int32_t in_c = p->in_c, out_c = p->out_c, multiplier = out_c / in_c;
  const int32_t in_pitch = p->in_w * in_c, w_pitch = p->kernel_w * out_c;
  for (int y = 0; y < p->out_h; ++y) {
    const int top = y * p->stride_h - p->pad_top;
    const int ky = top < 0 ? -top : 0;
    const int rows = (top + p->kernel_h > p->in_h ? p->in_h - top : p->kernel_h) - ky;
    for (int x = 0; x < p->out_w; ++x, out += out_c) {
      const int left = x * p->stride_w - p->pad_left;
      const int kx = left < 0 ? -left : 0;
      const int columns = (left + p->kernel_w > p->in_w ? p->in_w - left : p->kernel_w) - kx;
      window v = {in + (top + ky) * in_pitch + (left + kx) * in_c, p->weights + ky * w_pitch + kx * out_c,
                  columns, rows, in_c, out_c, in_pitch - columns * in_c, w_pitch - columns * out_c};
      if (columns == 1 || rows <= 0 || columns <= 0) { /* a column: its taps are the inner ones */
        const window column = {v.x, v.w, rows, columns, in_pitch, w_pitch, 0, 0};
        v = column;
        if (rows <= 0) v.outer = 0;
      }
      if (multiplier == 1 && out_c % 4 == 0) {
        quads_of_inputs(&v, out_c, p->input_zero_point, p->channels, out);
      } else if (multiplier % 4 == 0) {
        quads_of_one_input(&v, out_c, p->input_zero_point, p->channels, out, multiplier);
      } else {
        one_by_one(&v, out_c, p->input_zero_point, p->channels, out, multiplier);
      }
    }
  }
}

/* Whether a kernel along `along` can run in strips: every output sees the image, and across it nothing is padded. */
static int strips_fit(const axis *along, int taps, const axis *across) {
  return taps <= MOST_TAPS && along->pad < taps && (along->out - 1) * along->stride - along->pad < along->in &&
         across->pad == 0 && (across->out - 1) * across->stride < across->in;
}

/* On shorter strips than this, quads are faster. */
#define SHORTEST_STRIP 7

void micronet_depthwise(const micronet_conv *p, const int8_t *in, int8_t *out) {
  const axis vertical = {p->in_h, p->out_h, p->stride_h, p->pad_top, p->in_w * p->in_c, p->out_w * p->out_c};
  const axis horizontal = {p->in_w, p->out_w, p->stride_w, p->pad_left, p->in_c, p->out_c};
  const int quads = p->out_c == p->in_c && p->out_c % 4 == 0;
  if (p->kernel_w == 1 && strips_fit(&vertical, p->kernel_h, &horizontal) && !(quads && p->out_w < SHORTEST_STRIP)) {
    depthwise_strips(p, p->kernel_h, &vertical, &horizontal, in, out);
  } else if (p->kernel_h == 1 && strips_fit(&horizontal, p->kernel_w, &vertical) && !(quads && p->out_h < SHORTEST_STRIP)) {
    depthwise_strips(p, p->kernel_w, &horizontal, &vertical, in, out);
  } else {
    depthwise_pixels(p, in, out);
  }
  micronet_apply_clamp((int32_t)p->out_h * p->out_w * p->out_c, p->clamp_min, p->clamp_max, out);
}

#endif
