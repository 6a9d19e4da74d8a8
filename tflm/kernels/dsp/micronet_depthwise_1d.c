/* DEPTHWISE_CONV_2D with kx1 and 1xk kernels. */
#include "micronet_depthwise_quad.h"

#if MICRONET_DSP

/* Three ways: strips, quads, and lines (micronet_depthwise_lines.c).
 *
 * Strips, channel by channel, for up to three taps. A strip is a run of outputs of one channel that
 * use the same taps: along the kernel's other axis that is a whole line of the map, so that weights
 * and record stay in registers and borders are just shorter kernels. The input's zero point is
 * folded into the strip's bias: sum w * (x - z) = sum w * x - z * sum w. */

#define MOST_STRIP_TAPS 3

typedef struct {
  int32_t tap_step, in_step, out_step; /* bytes from tap to tap, from output to output */
  int32_t count;
  int32_t multiplier, offset, shift;
  micronet_pair w01;
  micronet_pair last; /* the last weight over the shift: one register for both */
} strip;

#define STRIP(name, sum_of_taps)                                                         \
  static void name(const strip *s, const int8_t *x, int8_t *out, int32_t doubled_bias) { \
    const int32_t t = s->tap_step, out_step = s->out_step, in_step = s->in_step;         \
    const int32_t multiplier = s->multiplier, offset = s->offset;                        \
    const micronet_pair w01 = s->w01, last = s->last;                                    \
    int32_t count = s->count;                                                            \
    (void)w01, (void)t;                                                                  \
    do {                                                                                 \
      int32_t acc = doubled_bias;                                                        \
      sum_of_taps;                                                                       \
      *out = micronet_requantize_packed(acc, multiplier, offset, last);                  \
      x += in_step;                                                                      \
      out += out_step;                                                                   \
    } while (--count);                                                                   \
  }
#define TAP(smla, value, w) acc = smla((uint32_t)(value), w, acc)
#define TAP_0 TAP(micronet_smlabb, x[0], w01)
#define TAP_1 TAP(micronet_smlabt, x[t], w01)

STRIP(strip_1, TAP(micronet_smlabt, x[0], last))
STRIP(strip_2, TAP_0; TAP_1)
STRIP(strip_3, TAP_0; TAP_1; TAP(micronet_smlabt, micronet_load1_twice(x, t), last))

static void (*const strip_of[MOST_STRIP_TAPS])(const strip *, const int8_t *, int8_t *, int32_t) = {
    strip_1, strip_2, strip_3};

/* Three taps, in_step and out_step equal or as 1 to 2: one index, counted up to 0, walks input and
 * output. */
#define INDEXED_STRIP(name, out_index)                                                    \
  static void name(const strip *s, const int8_t *x0, int8_t *out, int32_t doubled_bias) { \
    const int32_t in_step = s->in_step;                                                   \
    const int32_t multiplier = s->multiplier, offset = s->offset;                         \
    const micronet_pair w01 = s->w01, last = s->last;                                     \
    int32_t i = -in_step * s->count;                                                      \
    x0 -= i;                                                                              \
    out -= out_index;                                                                     \
    const int8_t *x1 = x0 + s->tap_step;                                                  \
    const int8_t *x2 = x1 + s->tap_step;                                                  \
    do {                                                                                  \
      int32_t acc = doubled_bias;                                                         \
      TAP(micronet_smlabb, x0[i], w01);                                                   \
      TAP(micronet_smlabt, x1[i], w01);                                                   \
      TAP(micronet_smlabt, x2[i], last);                                                  \
      out[out_index] = micronet_requantize_packed(acc, multiplier, offset, last);         \
      i += in_step;                                                                       \
    } while (i != 0);                                                                     \
  }
INDEXED_STRIP(strip_3_equal_steps, i)
INDEXED_STRIP(strip_3_double_steps, 2 * i)
#undef STRIP
#undef INDEXED_STRIP
#undef TAP
#undef TAP_0
#undef TAP_1

static void set_weights(strip *s, const int16_t *w, int32_t taps) {
  s->w01 = micronet_make_pair(w[0], w[1]);
  s->last = micronet_make_pair(s->shift, w[taps - 1]);
}

static void depthwise_strips(const micronet_conv_params *p, int taps, const micronet_axis *along,
                             const micronet_axis *across, const int8_t *in, int8_t *out) {
  const int32_t out_c = p->shape.out_c, zero_point = p->shape.input_zero_point;
  const micronet_channel *record = p->channels;
  strip whole;
  whole.tap_step = along->in_pitch;
  whole.in_step = across->stride * across->in_pitch;
  whole.out_step = across->out_pitch;
  whole.count = across->out;
  void (*run)(const strip *, const int8_t *, int8_t *, int32_t) = strip_of[taps - 1];
  if (taps == 3 && whole.out_step == whole.in_step) run = strip_3_equal_steps;
  if (taps == 3 && whole.out_step == 2 * whole.in_step) run = strip_3_double_steps;
  for (int o = 0; o < out_c; ++o, ++record, ++out) {
    const int8_t *const channel = in + micronet_source(p, o);
    /* Zeros behind the taps: a shorter kernel at the border may load them. */
    int16_t w[2 * MOST_STRIP_TAPS] = {0};
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
    const int32_t doubled_bias = record->doubled_bias - zero_point * sum;
    int32_t start = -along->pad;
    const int8_t *x = channel + start * along->in_pitch;
    int8_t *out_line = out;
    for (int i = 0; i < along->out; ++i) {
      const int32_t beyond = start + taps - along->in; /* taps that lie behind the image */
      if (start >= 0 && beyond <= 0) {
        run(&whole, x, out_line, doubled_bias);
      } else {
        const int32_t first = start < 0 ? -start : 0;
        const int32_t end = beyond > 0 ? taps - beyond : taps;
        strip part = whole;
        int32_t inside = 0;
        for (int32_t t = first; t < end; ++t) inside += w[t];
        set_weights(&part, w + first, end - first);
        strip_of[end - first - 1](&part, x + first * along->in_pitch, out_line,
                                  record->doubled_bias - zero_point * inside);
      }
      start += along->stride;
      x += along->stride * along->in_pitch;
      out_line += along->out_pitch;
    }
  }
}

/* Quads, pixel by pixel and four channels at a time, for maps so small that it would cost more to
 * start strips and lines than to run them. */
#define MOST_QUAD_TAPS 5

/* The taps of four channels: x and w are pointers to the first one, xs and ws lead to the next.
 * Each takes two loads, four instructions to widen, and four MACs. All registers are in use;
 * Clang keeps one of them for frame pointers. */
MICRONET_INLINE micronet_quad sums_of_quad(const int8_t *x, int32_t xs, const int8_t *w, int32_t ws,
                                           int32_t taps, micronet_pair minus) {
  micronet_quad q;
#if MICRONET_ARM_DSP && !defined(__clang__)
  uint32_t a, b, c, d;
  __asm__(MICRONET_QUAD_LOAD("]", "]")
          "smulbb %[s0], %[c], %[d]\n smulbb %[s1], %[a], %[b]\n"
          "smultt %[s2], %[c], %[d]\n smultt %[s3], %[a], %[b]\n"
          "cmp %[taps], #2\n blt 1f\n" MICRONET_QUAD_TAP(", %[xs]]", ", %[ws]]")
          "beq 1f\n" MICRONET_QUAD_TAP(", %[xs], lsl #1]", ", %[ws], lsl #1]")
          "cmp %[taps], #4\n blt 1f\n"
          "add %[x], %[x], %[xs], lsl #1\n add %[w], %[w], %[ws], lsl #1\n"
          MICRONET_QUAD_TAP(", %[xs]]", ", %[ws]]")
          "beq 1f\n" MICRONET_QUAD_TAP(", %[xs], lsl #1]", ", %[ws], lsl #1]") "1:\n"
          : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d),
            [s0] "=&r"(q.sum0), [s1] "=&r"(q.sum1), [s2] "=&r"(q.sum2),
            [s3] "=&r"(q.sum3), [x] "+&r"(x), [w] "+&r"(w)
          : [xs] "r"(xs), [ws] "r"(ws), [taps] "r"(taps), [minus] "r"(minus)
          : "memory", "cc");
#else
  q.sum0 = q.sum1 = q.sum2 = q.sum3 = 0;
  for (; taps > 0; --taps, x += xs, w += ws) micronet_quad_tap(&q, x, w, minus);
#endif
  return q;
}

static MICRONET_NOINLINE void quads_of_pixel(const int8_t *x, const int8_t *w, int32_t taps,
                                             int32_t xs, int32_t ws, micronet_pair minus,
                                             const micronet_channel *record, int8_t *out,
                                             const int8_t *end) {
  do {
    const micronet_quad q = sums_of_quad(x, xs, w, ws, taps, minus);
    x += 4;
    w += 4;
    out = micronet_finish_quad(&q, &record, out);
  } while (out != end);
}

static void depthwise_quads(const micronet_conv_params *p, int taps, const micronet_axis *along,
                            const micronet_axis *across, const int8_t *in, int8_t *out) {
  const micronet_pair minus =
      micronet_make_pair(-p->shape.input_zero_point, -p->shape.input_zero_point);
  for (int i = 0; i < along->out; ++i) {
    const int32_t start = i * along->stride - along->pad;
    const int32_t first = start < 0 ? -start : 0;
    const int32_t end = start + taps > along->in ? along->in - start : taps;
    const int8_t *x = in + (start + first) * along->in_pitch;
    int8_t *to = out + i * along->out_pitch;
    for (int j = 0; j < across->out; ++j) {
      quads_of_pixel(x, p->weights + first * p->shape.out_c, end - first, along->in_pitch,
                     p->shape.out_c, minus, p->channels, to, to + p->shape.out_c);
      x += across->stride * across->in_pitch;
      to += across->out_pitch;
    }
  }
}

/* On smaller maps, quads are faster than strips and lines. */
#define SMALLEST_MAP 7

micronet_status micronet_depthwise_along_an_axis(const micronet_conv_params *p, const int8_t *in,
                                                 int8_t *out) {
  const micronet_axis vertical = {p->shape.in_h,
                                  p->shape.out_h,
                                  p->shape.stride_h,
                                  p->shape.pad_top,
                                  p->shape.in_w * p->shape.in_c,
                                  p->shape.out_w * p->shape.out_c};
  const micronet_axis horizontal = {p->shape.in_w,     p->shape.out_w, p->shape.stride_w,
                                    p->shape.pad_left, p->shape.in_c,  p->shape.out_c};
  const micronet_axis *const along = p->shape.kernel_w == 1 ? &vertical : &horizontal;
  const micronet_axis *const across = p->shape.kernel_w == 1 ? &horizontal : &vertical;
  const int taps = p->shape.kernel_w == 1 ? p->shape.kernel_h : p->shape.kernel_w;
  const int quads = p->shape.out_c == p->shape.in_c && p->shape.out_c % 4 == 0 && !p->source;
  if (p->shape.kernel_w != 1 && p->shape.kernel_h != 1) return MICRONET_REFUSED;
  /* Every output sees the image, and across the kernel nothing is padded. */
  if (along->pad >= taps || (along->out - 1) * along->stride - along->pad >= along->in ||
      across->pad != 0 || (across->out - 1) * across->stride >= across->in) {
    return MICRONET_REFUSED;
  }
  micronet_status status = MICRONET_OK;
  if (taps <= MOST_STRIP_TAPS && across->out >= SMALLEST_MAP)
    depthwise_strips(p, taps, along, across, in, out);
  else if (quads && taps <= MOST_QUAD_TAPS && (along->stride > 1 || across->out < SMALLEST_MAP))
    depthwise_quads(p, taps, along, across, in, out);
  else
    status = micronet_depthwise_lines(p, taps, along, across, in, out);
  if (status == MICRONET_OK) {
    micronet_apply_clamp((int32_t)p->shape.out_h * p->shape.out_w * p->shape.out_c,
                         p->shape.clamp_min, p->shape.clamp_max, out);
  }
  return status;
}

micronet_status micronet_depthwise_1d(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                      void *scratch, size_t scratch_bytes) {
  (void)scratch;
  (void)scratch_bytes;
  return micronet_depthwise_along_an_axis(p, in, out);
}

#undef MOST_STRIP_TAPS
#undef MOST_QUAD_TAPS
#undef SMALLEST_MAP

#endif
