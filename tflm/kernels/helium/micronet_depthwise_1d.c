/* DEPTHWISE_CONV_2D, for Helium; made for the kx1 and 1xk kernels of MicroNet, and takes any. */
#include "micronet_depthwise.h"
#include "micronet_helium.h"

#if MICRONET_HELIUM

#define MOST_TAPS 6
/* Four channels side by side: up to five taps, lines of no more than six outputs. */
#define MOST_TAPS_OF_CHANNELS 5
#define SMALLEST_LINE 6

/* A line of outputs of one channel, four at once; they share taps and weights (doubled, zero point
 * in the bias). */
MICRONET_INLINE void line(const int taps, const int8_t *x, int32_t tap_step, const int32_t *w2,
                          int32_t doubled_bias, const micronet_channel *record, int32_t count,
                          uint32x4_t at, uint32x4_t out_at, int32_t in_move, int32_t out_move,
                          int8_t *out) {
  const int32x4_t multiplier = vdupq_n_s32(record->multiplier),
                  offset = vdupq_n_s32(record->offset);
  const int32x4_t minus_shift = vdupq_n_s32(-record->shift);
  /* In variables, because the compiler takes every store to `out` for a change of w2. */
  const int32_t w_0 = w2[0], w_1 = taps > 1 ? w2[1] : 0, w_2 = taps > 2 ? w2[2] : 0;
#define LINE_TAPS(load)                                                 \
  int32x4_t acc = vmlaq_n_s32(vdupq_n_s32(doubled_bias), load(x), w_0); \
  if (taps > 1) acc = vmlaq_n_s32(acc, load(x + tap_step), w_1);        \
  if (taps > 2) acc = vmlaq_n_s32(acc, load(x + 2 * tap_step), w_2);    \
  for (int t = 3; t < taps; ++t) acc = vmlaq_n_s32(acc, load(x + t * tap_step), w2[t])
#define LOAD_ALL(from) vldrbq_gather_offset_s32(from, at)
#define LOAD_LANES(from) vldrbq_gather_offset_z_s32(from, at, lanes)
  for (int32_t fours = count >> 2; fours > 0; --fours) {
    LINE_TAPS(LOAD_ALL);
    vstrbq_scatter_offset_s32(out, out_at,
                              micronet_requantize4(acc, multiplier, offset, minus_shift));
    x += in_move;
    out += out_move;
  }
  if (count & 3) {
    const mve_pred16_t lanes = vctp32q((uint32_t)(count & 3));
    LINE_TAPS(LOAD_LANES);
    vstrbq_scatter_offset_p_s32(out, out_at,
                                micronet_requantize4(acc, multiplier, offset, minus_shift), lanes);
  }
}

#undef LINE_TAPS
#undef LOAD_ALL
#undef LOAD_LANES

static MICRONET_NOINLINE void depthwise_lines(const micronet_conv_params *p, int taps,
                                              const micronet_axis *along,
                                              const micronet_axis *across, const int8_t *in,
                                              int8_t *out) {
  const int32_t in_step = across->stride * across->in_pitch, pitch = along->in_pitch,
                count = across->out;
  const uint32x4_t places = vidupq_n_u32(0, 1);
  const uint32x4_t at = vmulq_n_u32(places, (uint32_t)in_step);
  const uint32x4_t out_at = vmulq_n_u32(places, (uint32_t)across->out_pitch);
  for (int o = 0; o < p->shape.out_c; ++o) {
    const micronet_channel *record = &p->channels[o];
    int32_t w2[MOST_TAPS], sum = 0;
    for (int t = 0; t < taps; ++t) {
      w2[t] = 2 * p->weights[t * p->shape.out_c + o];
      sum += w2[t];
    }
    const int8_t *x = in + micronet_source(p, o) - along->pad * pitch;
    int8_t *to = out + o;
    int32_t start = -along->pad;
    for (int i = along->out; i > 0; --i) {
      const int32_t first = start < 0 ? -start : 0;
      const int32_t n = (start + taps > along->in ? along->in - start : taps) - first;
      int32_t inside = sum;
      for (int32_t t = 0; t < first; ++t) inside -= w2[t];
      for (int32_t t = first + n; t < taps; ++t) inside -= w2[t];
      const int32_t doubled_bias = record->doubled_bias - p->shape.input_zero_point * inside;
      const int8_t *from = x + first * pitch;
      if (n == 3) {
        line(3, from, pitch, w2 + first, doubled_bias, record, count, at, out_at, 4 * in_step,
             4 * across->out_pitch, to);
      } else {
        line(n, from, pitch, w2 + first, doubled_bias, record, count, at, out_at, 4 * in_step,
             4 * across->out_pitch, to);
      }
      start += along->stride;
      x += along->stride * pitch;
      to += along->out_pitch;
    }
  }
}

/* Four channels with an input each, a line of outputs that use the same taps: weights (doubled) and
 * bias (less the zero point times the weights) stay in registers. */
typedef struct {
  int32x4_t w[MOST_TAPS_OF_CHANNELS], doubled_bias;
  micronet_records r;
  int32_t tap_step, in_step, out_step, count;
} channel_line;

MICRONET_INLINE void line_of_channels(const int taps, const channel_line *c, const int32x4_t *w,
                                      const int8_t *x, int8_t *out) {
  const int32_t tap_step = c->tap_step, in_step = c->in_step, out_step = c->out_step;
  const int32x4_t bias = c->doubled_bias, w0 = w[0], w1 = w[taps > 1], w2 = w[taps > 2 ? 2 : 0],
                  w3 = w[taps > 3 ? 3 : 0], w4 = w[taps > 4 ? 4 : 0];
  for (int32_t n = c->count; n > 0; --n, x += in_step, out += out_step) {
    const int8_t *v = x;
    int32x4_t acc = vaddq_s32(bias, vmulq_s32(vldrbq_s32(v), w0));
    if (taps > 1) acc = vaddq_s32(acc, vmulq_s32(vldrbq_s32(v += tap_step), w1));
    if (taps > 2) acc = vaddq_s32(acc, vmulq_s32(vldrbq_s32(v += tap_step), w2));
    if (taps > 3) acc = vaddq_s32(acc, vmulq_s32(vldrbq_s32(v += tap_step), w3));
    if (taps > 4) acc = vaddq_s32(acc, vmulq_s32(vldrbq_s32(v += tap_step), w4));
    vstrbq_s32(out, micronet_requantize4(acc, c->r.multiplier, c->r.offset, c->r.minus_shift));
  }
}

#define LINE_OF_CHANNELS(name, taps)                                                             \
  static MICRONET_NOINLINE void name(const channel_line *c, const int32x4_t *w, const int8_t *x, \
                                     int8_t *out) {                                              \
    line_of_channels(taps, c, w, x, out);                                                        \
  }
LINE_OF_CHANNELS(line_of_1, 1)
LINE_OF_CHANNELS(line_of_2, 2)
LINE_OF_CHANNELS(line_of_3, 3)
LINE_OF_CHANNELS(line_of_4, 4)
LINE_OF_CHANNELS(line_of_5, 5)
#undef LINE_OF_CHANNELS

/* Multiplier 1, channels in fours, up to five taps: lines that are too short for depthwise_lines. */
static MICRONET_NOINLINE void depthwise_channels(const micronet_conv_params *p, int taps,
                                                 const micronet_axis *along,
                                                 const micronet_axis *across, const int8_t *in,
                                                 int8_t *out) {
  static void (*const line_of[])(const channel_line *, const int32x4_t *, const int8_t *,
                                 int8_t *) = {line_of_1, line_of_2, line_of_3, line_of_4,
                                              line_of_5};
  const int32_t pitch = along->in_pitch;
  channel_line c;
  c.tap_step = pitch;
  c.in_step = across->stride * across->in_pitch;
  c.out_step = across->out_pitch;
  c.count = across->out;
  for (int32_t o = 0; o < p->shape.out_c; o += 4) {
    c.r = micronet_load_records(p->channels + o, 4);
    for (int t = 0; t < taps; ++t)
      c.w[t] = vshlq_n_s32(vldrbq_s32(p->weights + t * p->shape.out_c + o), 1);
    int32_t start = -along->pad, inside = -1;
    for (int32_t i = 0; i < along->out; ++i, start += along->stride) {
      const int32_t first = start < 0 ? -start : 0;
      const int32_t n = (start + taps > along->in ? along->in - start : taps) - first;
      if (inside != (first << 8 | n)) { /* other taps than before */
        inside = first << 8 | n;
        int32x4_t sum = c.w[first];
        for (int32_t t = 1; t < n; ++t) sum = vaddq_s32(sum, c.w[first + t]);
        c.doubled_bias = vsubq_s32(c.r.doubled_bias, vmulq_n_s32(sum, p->shape.input_zero_point));
      }
      line_of[n - 1](&c, c.w + first, in + (start + first) * pitch + o,
                     out + i * along->out_pitch + o);
    }
  }
}

/* One output pixel, multiplier 1, as many fours of channels as there are; the taps are `outer`
 * times `inner` ones. */
static MICRONET_NOINLINE void fours_of_inputs(const int8_t *x, const int8_t *w, int32_t inner,
                                              int32_t outer, int32_t x_inner, int32_t w_inner,
                                              int32_t x_outer, int32_t w_outer, int32_t zero_point,
                                              const micronet_channel *record, int8_t *out,
                                              const int8_t *end) {
  for (; out != end; out += 4, x += 4, w += 4, record += 4) {
    int32x4_t acc = vdupq_n_s32(0);
    const int8_t *u = x, *v = w;
    for (int32_t m = outer; m > 0; --m, u += x_outer, v += w_outer) {
      for (int32_t n = inner; n > 0; --n, u += x_inner, v += w_inner) {
        acc = vaddq_s32(acc, vmulq_s32(vsubq_n_s32(vldrbq_s32(u), zero_point), vldrbq_s32(v)));
      }
    }
    const micronet_records r = micronet_load_records(record, 4);
    acc = vaddq_s32(vaddq_s32(acc, acc), r.doubled_bias);
    vstrbq_s32(out, micronet_requantize4(acc, r.multiplier, r.offset, r.minus_shift));
  }
}

/* The sums of four channels, for any multiplier and for the last channels. */
static int32x4_t any_inputs(const micronet_conv_params *p, const int8_t *x, const int8_t *w,
                            int32_t o, int32_t rows, int32_t columns, int32_t in_pitch,
                            int32_t w_pitch) {
  const int32_t in_c = p->shape.in_c, out_c = p->shape.out_c,
                zero_point = p->shape.input_zero_point;
  const mve_pred16_t lanes = vctp32q((uint32_t)(out_c - o));
  uint32_t channels[4] = {0};
  for (int i = 0; i < 4 && o + i < out_c; ++i) channels[i] = (uint32_t)micronet_source(p, o + i);
  const uint32x4_t at = vldrwq_u32(channels);
  int32x4_t acc = vdupq_n_s32(0);
  for (int32_t m = rows; m > 0; --m, x += in_pitch, w += w_pitch) {
    const int8_t *u = x, *v = w + o;
    for (int32_t n = columns; n > 0; --n, u += in_c, v += out_c) {
      const int32x4_t input = vsubq_n_s32(vldrbq_gather_offset_z_s32(u, at, lanes), zero_point);
      acc = vaddq_s32(acc, vmulq_s32(input, vldrbq_z_s32(v, lanes)));
    }
  }
  return acc;
}

/* Pixel by pixel, four channels at once, any multiplier. */
static MICRONET_NOINLINE void depthwise_pixels(const micronet_conv_params *p, const int8_t *in,
                                               int8_t *out) {
  const int32_t in_c = p->shape.in_c, out_c = p->shape.out_c, in_pitch = p->shape.in_w * in_c,
                w_pitch = p->shape.kernel_w * out_c;
  const int one_to_one = out_c == in_c && !p->source;
  for (int y = 0; y < p->shape.out_h; ++y) {
    const int top = y * p->shape.stride_h - p->shape.pad_top;
    const int y0 = top < 0 ? -top : 0;
    const int y1 =
        top + p->shape.kernel_h > p->shape.in_h ? p->shape.in_h - top : p->shape.kernel_h;
    for (int x = 0; x < p->shape.out_w; ++x, out += out_c) {
      const int left = x * p->shape.stride_w - p->shape.pad_left;
      const int x0 = left < 0 ? -left : 0;
      const int x1 =
          left + p->shape.kernel_w > p->shape.in_w ? p->shape.in_w - left : p->shape.kernel_w;
      const int8_t *const corner = in + (top + y0) * in_pitch + (left + x0) * in_c;
      const int8_t *const w_corner = p->weights + y0 * w_pitch + x0 * out_c;
      const int32_t rows = y1 - y0, columns = x1 - x0;
      int32_t o = 0;
      if (one_to_one) {
        o = out_c & ~3;
        if (columns == 1) { /* a column: its taps are the inner ones */
          fours_of_inputs(corner, w_corner, rows, 1, in_pitch, w_pitch, 0, 0,
                          p->shape.input_zero_point, p->channels, out, out + o);
        } else {
          fours_of_inputs(corner, w_corner, columns, rows, in_c, out_c, in_pitch - columns * in_c,
                          w_pitch - columns * out_c, p->shape.input_zero_point, p->channels, out,
                          out + o);
        }
      }
      for (; o < out_c; o += 4) {
        const micronet_records r = micronet_load_records(p->channels + o, out_c - o);
        int32x4_t acc = any_inputs(p, corner, w_corner, o, rows, columns, in_pitch, w_pitch);
        acc = vaddq_s32(vaddq_s32(acc, acc), r.doubled_bias);
        micronet_store4(out + o, micronet_requantize4(acc, r.multiplier, r.offset, r.minus_shift),
                        out_c - o);
      }
    }
  }
}

/* In lines, if every output sees the image and across the kernel nothing is padded. */
static micronet_status depthwise_along(const micronet_conv_params *p, int taps,
                                       const micronet_axis *along, const micronet_axis *across,
                                       const int8_t *in, int8_t *out) {
  const int fours = !p->source && p->shape.out_c == p->shape.in_c && p->shape.out_c % 4 == 0;
  if (taps > MOST_TAPS || along->pad >= taps ||
      (along->out - 1) * along->stride - along->pad >= along->in || across->pad != 0 ||
      (across->out - 1) * across->stride >= across->in) {
    return MICRONET_REFUSED;
  }
  if (across->out <= SMALLEST_LINE && fours && taps <= MOST_TAPS_OF_CHANNELS)
    depthwise_channels(p, taps, along, across, in, out);
  else
    depthwise_lines(p, taps, along, across, in, out);
  return MICRONET_OK;
}

micronet_status micronet_depthwise_1d(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                      void *scratch, size_t scratch_bytes) {
  const micronet_axis vertical = {p->shape.in_h,
                                  p->shape.out_h,
                                  p->shape.stride_h,
                                  p->shape.pad_top,
                                  p->shape.in_w * p->shape.in_c,
                                  p->shape.out_w * p->shape.out_c};
  const micronet_axis horizontal = {p->shape.in_w,     p->shape.out_w, p->shape.stride_w,
                                    p->shape.pad_left, p->shape.in_c,  p->shape.out_c};
  micronet_status status = MICRONET_REFUSED;
  (void)scratch;
  (void)scratch_bytes;
  if (p->shape.kernel_w == 1)
    status = depthwise_along(p, p->shape.kernel_h, &vertical, &horizontal, in, out);
  else if (p->shape.kernel_h == 1)
    status = depthwise_along(p, p->shape.kernel_w, &horizontal, &vertical, in, out);
  if (status != MICRONET_OK) depthwise_pixels(p, in, out);
  micronet_apply_clamp((int32_t)p->shape.out_h * p->shape.out_w * p->shape.out_c,
                       p->shape.clamp_min, p->shape.clamp_max, out);
  return MICRONET_OK;
}

#undef MOST_TAPS_OF_CHANNELS
#undef SMALLEST_LINE
#undef MOST_TAPS

#endif
