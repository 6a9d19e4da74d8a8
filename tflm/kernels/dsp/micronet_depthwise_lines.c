/* DEPTHWISE_CONV_2D with kx1 and 1xk kernels by lines, for Armv7E-M. */
#include "micronet_depthwise.h"
#include "micronet_dsp.h"

#if MICRONET_DSP

/* Channel by channel, the map's lines along the kernel are copied into a buffer of int16 with their
 * padding, as many as fit. There the taps slide over them: pairs of inputs meet pairs of weights
 * (SMLAD), and two neighbouring outputs share their loads. Padding holds the zero point; as it does
 * for all inputs, the bias takes it off again: sum w * (x - z) = sum w * x - z * sum w. */
#define MOST_TAPS 5
#define BUFFER 256

typedef struct {
  int32_t taps, weight_step, zero_point;
  int32_t lines, pairs, odd; /* outputs of a line: 2 * pairs + odd */
  int32_t out_step;          /* from output to output */
  /* From the last pair of a line (in walk_apart: from the last output) to the next line. */
  int32_t out_skip;
  int32_t skip; /* the same in the buffer */
} walk;

/* Weights, doubled, in pairs. */
typedef struct {
  micronet_pair w01, w12, w23, w34;
  int32_t doubled_bias;
} tap_pairs;

static MICRONET_NOINLINE tap_pairs make_tap_pairs(const walk *k, const int8_t *weights,
                                                  int32_t doubled_bias) {
  int32_t w[MOST_TAPS] = {0}, sum = 0;
  for (int t = 0; t < k->taps; ++t, weights += k->weight_step) {
    w[t] = 2 * *weights;
    sum += w[t];
  }
  const tap_pairs v = {micronet_pkhbt((uint32_t)w[0], (uint32_t)w[1]),
                       micronet_pkhbt((uint32_t)w[1], (uint32_t)w[2]),
                       micronet_pkhbt((uint32_t)w[2], (uint32_t)w[3]),
                       micronet_pkhbt((uint32_t)w[3], (uint32_t)w[4]),
                       doubled_bias - k->zero_point * sum};
  return v;
}

/* The sums of two outputs, one place apart. In Arm's form one register holds the inputs in turn and
 * the bias stays in memory: the loop needs all other registers. */
typedef struct {
  int32_t first, second;
} sums;

MICRONET_INLINE sums two_sums(const tap_pairs *v, const int32_t *doubled_bias, const int16_t **x) {
#if MICRONET_ARM_DSP
  uint32_t pair;
  sums s;
  __asm__(
      "ldr %[first], %[bias]\n ldr %[pair], [%[x]], #4\n"
      "smlatb %[second], %[pair], %[w01], %[first]\n smlad %[first], %[pair], %[w01], %[first]\n"
      "ldr %[pair], [%[x]]\n"
      "smlad %[second], %[pair], %[w12], %[second]\n smlad %[first], %[pair], %[w23], %[first]\n"
      "ldr %[pair], [%[x], #4]\n"
      "smlad %[second], %[pair], %[w34], %[second]\n smlabt %[first], %[pair], %[w34], %[first]\n"
      : [pair] "=&r"(pair), [first] "=&r"(s.first), [second] "=&r"(s.second), [x] "+&r"(*x)
      : [w01] "r"(v->w01), [w12] "r"(v->w12), [w23] "r"(v->w23), [w34] "r"(v->w34),
        [bias] "m"(*doubled_bias)
      : "memory");
#else
  const micronet_pair x01 = micronet_load_pair(*x), x23 = micronet_load_pair(*x + 2);
  const micronet_pair x45 = micronet_load_pair(*x + 4);
  const int32_t first = micronet_smlad(x23, v->w23, micronet_smlad(x01, v->w01, *doubled_bias));
  const int32_t second = micronet_smlad(x23, v->w12, micronet_smlatb(x01, v->w01, *doubled_bias));
  const sums s = {micronet_smlabt(x45, v->w34, first), micronet_smlad(x45, v->w34, second)};
  *x += 2;
#endif
  return s;
}

/* All lines in the buffer, for one output channel, with an output at every place. */
static MICRONET_NOINLINE void walk_all(const walk *k, const int8_t *weights,
                                       const micronet_channel *record, const int16_t *x,
                                       int8_t *out) {
  const tap_pairs v = make_tap_pairs(k, weights, record->doubled_bias);
  const int32_t doubled_bias = v.doubled_bias;
  const int32_t multiplier = record->multiplier, offset = record->offset, shift = record->shift;
  int32_t step = k->out_step, lines = k->lines;
  do {
    int32_t n = k->pairs;
    while (--n >= 0) {
      const sums s = two_sums(&v, &doubled_bias, &x);
      MICRONET_OPAQUE(step);
      out[0] = micronet_requantize(s.first, multiplier, offset, shift);
      out[step] = micronet_requantize(s.second, multiplier, offset, shift);
      out += 2 * step;
    }
    if (k->odd)
      *out = micronet_requantize(two_sums(&v, &doubled_bias, &x).first, multiplier, offset, shift);
    x += k->skip;
    out += k->out_skip;
  } while (--lines > 0);
}

/* The same with an output at every other place. */
static MICRONET_NOINLINE void walk_apart(const walk *k, const int8_t *weights,
                                         const micronet_channel *record, const int16_t *x,
                                         int8_t *out) {
  const tap_pairs v = make_tap_pairs(k, weights, record->doubled_bias);
  const int32_t multiplier = record->multiplier, offset = record->offset, shift = record->shift;
  const int32_t step = k->out_step;
  int32_t lines = k->lines;
  do {
    for (int32_t n = 2 * k->pairs + k->odd; n > 0; --n, x += 2, out += step) {
      int32_t acc = micronet_smlad(micronet_load_pair(x), v.w01, v.doubled_bias);
      acc = micronet_smlad(micronet_load_pair(x + 2), v.w23, acc);
      acc = micronet_smlabt(micronet_load_pair(x + 4), v.w34, acc);
      *out = micronet_requantize(acc, multiplier, offset, shift);
    }
    x += k->skip;
    out += k->out_skip;
  } while (--lines > 0);
}

/* `count` values of each line; the skips lead from the end of one to the next. */
static MICRONET_NOINLINE void copy_lines(const int8_t *x, int32_t step, int32_t count, int32_t skip,
                                         int32_t lines, int16_t *to, int32_t to_skip) {
  do {
    int32_t n = count;
    while ((n -= 2) >= 0) {
      MICRONET_OPAQUE(step);
      to[0] = x[0];
      to[1] = x[step];
      to += 2;
      x += 2 * step;
    }
    if (count & 1) *to = *x;
    x += skip;
    to += to_skip;
  } while (--lines > 0);
}

micronet_status micronet_depthwise_lines(const micronet_conv_params *p, int taps,
                                         const micronet_axis *along, const micronet_axis *across,
                                         const int8_t *in, int8_t *out) {
  union {
    uint32_t alignment; /* pairs are read as words */
    int16_t places[BUFFER];
  } buffer;
  int16_t *const lines = buffer.places;
  /* The last window may read one place more than five; lines begin at even places. */
  const int32_t pitch = ((along->out - 1) * along->stride + 7) & ~1;
  const int32_t inputs = along->in < pitch - along->pad ? along->in : pitch - along->pad;
  const int32_t fitting = BUFFER / pitch, at_once = fitting < across->out ? fitting : across->out;
  if (taps > MOST_TAPS || along->stride > 2 || at_once == 0 || inputs <= 0) return MICRONET_REFUSED;
  void (*const run)(const walk *, const int8_t *, const micronet_channel *, const int16_t *,
                    int8_t *) = along->stride == 2 ? walk_apart : walk_all;
  for (int32_t i = 0; i < at_once * pitch; ++i) lines[i] = p->shape.input_zero_point;
  const int32_t count = along->out, even = count & ~1;
  const int32_t apart = along->stride == 2;
  walk k = {taps,
            p->shape.out_c,
            p->shape.input_zero_point,
            at_once,
            count >> 1,
            count & 1,
            along->out_pitch,
            across->out_pitch - (apart ? count : even) * along->out_pitch,
            pitch - (apart ? 2 * count : (count + 1) & ~1)};
  const int32_t line_step = across->stride * across->in_pitch;
  const int32_t in_skip = line_step - (inputs & ~1) * along->in_pitch,
                to_skip = pitch - (inputs & ~1);
  int32_t held = -1; /* the channel that the buffer holds */
  for (int o = 0; o < p->shape.out_c; ++o) {
    const int32_t channel = micronet_source(p, o);
    const int8_t *from = in + channel;
    int8_t *to = out + o;
    for (int32_t left = across->out; left > 0; left -= at_once) {
      k.lines = left < at_once ? left : at_once;
      if (channel != held) {
        copy_lines(from, along->in_pitch, inputs, in_skip, k.lines, lines + along->pad, to_skip);
        from += k.lines * line_step;
        held = at_once == across->out ? channel : -1;
      }
      run(&k, p->weights + o, &p->channels[o], lines, to);
      to += k.lines * across->out_pitch;
    }
  }
  return MICRONET_OK;
}

#undef MOST_TAPS
#undef BUFFER

#endif
