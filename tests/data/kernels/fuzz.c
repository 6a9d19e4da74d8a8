/* Runs every kernel on random shapes, strides, zero points and scales, on a desktop and on the
 * emulated boards.
 *
 * Convolutions are compared with their plain forms here; of every kernel's outputs a checksum is
 * printed, and the test compares the checksums of all builds (reference, Armv7E-M in portable C
 * under sanitizers, Cortex-M4, M7, M55). Buffers are exactly as large as the kernels may touch, and
 * canaries stand behind them.
 */
#include <stdint.h>
#include <string.h>

#include "micronet_kernels.h"

#ifdef ON_BOARD
#include "board.h"
static void say(const char *name, uint32_t value) { board_report(name, value); }
#else
#include <stdio.h>
#include <stdlib.h>
static void say(const char *name, uint32_t value) { printf("%s %u\n", name, (unsigned)value); }
#endif

/* ---- memory: malloc under sanitizers, a static pool with canaries on a board ---- */

#define CANARY 0x5a
#define SLACK 16
#ifdef ON_BOARD
static uint8_t pool[1 << 20] __attribute__((aligned(8)));
static size_t pool_used;
#endif
static struct {
  uint8_t *start;
  size_t size;
} blocks[64];
static int block_count;
static int failures;

static void *take(size_t size, size_t alignment) {
  /* Odd addresses for byte arrays, so that nothing relies on an alignment that was not promised. */
  const size_t offset = alignment == 1 ? 1 : 0;
#ifdef ON_BOARD
  uint8_t *start = pool + pool_used;
  pool_used += (offset + size + SLACK + 15) & ~(size_t)15;
  if (pool_used > sizeof pool) {
    say("pool is too small", 0);
    board_exit(3);
  }
#else
  uint8_t *start = malloc(offset + size); /* the sanitizer guards its end */
#endif
  blocks[block_count].start = start;
  blocks[block_count++].size = offset + size;
#ifdef ON_BOARD
  memset(start + offset + size, CANARY, SLACK);
#endif
  return start + offset;
}

static void release_all(const char *name) {
  for (int i = 0; i < block_count; ++i) {
#ifdef ON_BOARD
    for (int j = 0; j < SLACK; ++j) {
      if (blocks[i].start[blocks[i].size + j] != CANARY) {
        say(name, (uint32_t)i);
        ++failures;
        break;
      }
    }
#else
    (void)name;
    free(blocks[i].start);
#endif
  }
  block_count = 0;
#ifdef ON_BOARD
  pool_used = 0;
#endif
}

/* ---- random numbers and checksums ---- */

static uint32_t state = 1;
/* Never two calls in the arguments of one function: C leaves their order to the compiler. */
static uint32_t random_bits(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}
static int between(int low, int high) {
  return low + (int)(random_bits() % (uint32_t)(high - low + 1));
}
static int chance(int one_in) { return between(1, one_in) == 1; }
static int one_of(const int *choices, int n) { return choices[between(0, n - 1)]; }

/* Scratch memory from the least to the most of which a kernel makes use. */
static size_t some_scratch(int least, int most) {
  return (size_t)(chance(3) || most < least ? least : chance(2) ? most : between(least, most));
}

static int8_t *random_int8(size_t n, int lowest) {
  int8_t *p = take(n, 1);
  const int extreme = chance(4);
  for (size_t i = 0; i < n; ++i) {
    p[i] = (int8_t)(extreme ? (chance(2) ? 127 : lowest) : between(lowest, 127));
  }
  return p;
}

static uint32_t checksum;
static void add_to_checksum(const int8_t *p, size_t n) {
  for (size_t i = 0; i < n; ++i) checksum = (checksum ^ (uint8_t)p[i]) * 16777619u;
}

static void expect_same(const char *name, const int8_t *a, const int8_t *b, size_t n) {
  if (memcmp(a, b, n) == 0) return;
  if (failures++ < 10) say(name, (uint32_t)failures);
}

static void expect_status(const char *name, micronet_status found, micronet_status expected) {
  if (found == expected) return;
  if (failures++ < 10) say(name, (uint32_t)failures);
}

/* ---- quantization: random numbers of a flatbuffer, and the records prepared from them ---- */

typedef struct {
  int channels;
  int32_t *bias, *multiplier;
  int8_t *shift;
  micronet_channel *records;
} quantization;

/* `reach` is a bound of |sum of w * (x - zero point)|: multipliers are chosen so that outputs use
 * the range. */
static quantization random_quantization(int channels, int32_t reach, int zero_point,
                                        int per_tensor) {
  quantization q = {channels, take(4 * (size_t)channels, 4), take(4 * (size_t)channels, 4),
                    take((size_t)channels, 4),
                    take(sizeof(micronet_channel) * (size_t)channels, 4)};
  int bits = 0;
  while (bits < 30 && ((int32_t)1 << bits) < reach) ++bits;
  for (int c = 0; c < channels; ++c) {
    if (c == 0 || !per_tensor) {
      q.multiplier[c] = (int32_t)((1u << 30) + random_bits() % (1u << 30));
      const int shift = chance(8) ? between(1, 22) : between(bits - 10, bits - 5);
      q.shift[c] = (int8_t)-(shift < 1 ? 1 : shift > 22 ? 22 : shift);
    } else {
      q.multiplier[c] = q.multiplier[0];
      q.shift[c] = q.shift[0];
    }
    const int32_t room = chance(8) ? (1 << 29) - reach : reach;
    q.bias[c] = chance(4) ? 0 : (int32_t)(random_bits() % (2u * (uint32_t)room + 1)) - room;
    const int r = -q.shift[c];
    const micronet_channel record = {2 * q.bias[c], q.multiplier[c],
                                     zero_point * (1 << r) + (1 << (r - 1)), r};
    q.records[c] = record;
  }
  return q;
}

static void random_clamp(int8_t *low, int8_t *high) {
  *low = (int8_t)(chance(4) ? between(-128, 0) : -128);
  *high = (int8_t)(chance(4) ? between(0, 127) : 127);
}

static int8_t *run_plain(const micronet_conv_params *p, const quantization *q, int groups,
                         int output_zero_point, const int8_t *weights, const int8_t *in,
                         int depthwise) {
  const micronet_conv_plain_params plain = {
      {p->shape.in_h, p->shape.in_w, p->shape.in_c, p->shape.out_h, p->shape.out_w, p->shape.out_c,
       p->shape.kernel_h, p->shape.kernel_w, p->shape.stride_h, p->shape.stride_w, 1, 1,
       p->shape.pad_top, p->shape.pad_left, (int16_t)groups, p->shape.input_zero_point,
       (int16_t)output_zero_point, p->shape.clamp_min, p->shape.clamp_max},
      weights,
      q->bias,
      q->multiplier,
      q->shift};
  int8_t *out = take((size_t)p->shape.out_h * p->shape.out_w * p->shape.out_c, 1);
  if (depthwise) {
    micronet_depthwise_plain(&plain, in, out);
  } else {
    micronet_conv2d_plain(&plain, in, out);
  }
  return out;
}

/* ---- the kernels ---- */

static int extent(int in, int kernel, int stride, int *pad) {
  /* SAME, VALID, or PyTorch's padding */
  const int how = between(0, 2);
  if (how == 0 || in < kernel) {
    const int out = (in + stride - 1) / stride;
    const int total = (out - 1) * stride + kernel - in;
    *pad = total > 0 ? (chance(2) ? total / 2 : total - total / 2) : 0;
    return out;
  }
  *pad = how == 1 ? 0 : kernel / 2;
  return (in + (how == 1 ? 0 : 2 * *pad) - kernel) / stride + 1;
}

static micronet_conv_params random_conv(int kernel_h, int kernel_w, int in_c, int out_c, int most) {
  micronet_conv_params p;
  memset(&p, 0, sizeof p);
  int pad_top, pad_left;
  p.shape.in_h = (int16_t)between(1, most);
  p.shape.in_w = (int16_t)between(1, most);
  p.shape.kernel_h = (int16_t)kernel_h;
  p.shape.kernel_w = (int16_t)kernel_w;
  p.shape.stride_h = (int16_t)between(1, 2);
  p.shape.stride_w = (int16_t)between(1, 2);
  p.shape.in_c = (int16_t)in_c;
  p.shape.out_c = (int16_t)out_c;
  p.shape.out_h = (int16_t)extent(p.shape.in_h, kernel_h, p.shape.stride_h, &pad_top);
  p.shape.out_w = (int16_t)extent(p.shape.in_w, kernel_w, p.shape.stride_w, &pad_left);
  p.shape.pad_top = (int16_t)pad_top;
  p.shape.pad_left = (int16_t)pad_left;
  p.shape.input_zero_point = (int16_t)between(-128, 127);
  random_clamp(&p.shape.clamp_min, &p.shape.clamp_max);
  return p;
}

/* Also where `out` grows into the input from below, as far as it may. */
static void bands_case(const micronet_conv_params *p, micronet_conv_kernel kernel, const int8_t *in,
                       const int8_t *expected, void *scratch, size_t room) {
  const int32_t in_pitch = p->shape.in_w * p->shape.in_c, rows = between(1, p->shape.out_h);
  const int32_t out_pitch = p->shape.out_w * p->shape.out_c;
  const int32_t in_size = p->shape.in_h * in_pitch, out_size = p->shape.out_h * out_pitch;
  int32_t lag = 0;
  for (int32_t y = 0; y < p->shape.out_h; y += rows) {
    const int32_t end = y + rows < p->shape.out_h ? y + rows : p->shape.out_h;
    const int32_t top = y * p->shape.stride_h - p->shape.pad_top;
    const int32_t needed = end * out_pitch - (top < 0 ? 0 : top) * in_pitch;
    if (needed > lag) lag = needed;
  }
  if (p->shape.pad_top >= p->shape.kernel_h ||
      (p->shape.out_h - 1) * p->shape.stride_h - p->shape.pad_top >= p->shape.in_h)
    return; /* a window outside of the image */
  int8_t *const both = take((size_t)(lag + in_size > out_size ? lag + in_size : out_size), 1);
  memcpy(both + lag, in, (size_t)in_size);
  expect_status("in_bands refuses",
                micronet_in_bands(p, kernel, rows, both + lag, both, scratch, room), MICRONET_OK);
  expect_same("in_bands differs from its kernel", both, expected, (size_t)out_size);
}

static void conv_case(void) {
  const int one = chance(3);
  const int kernel_h = one ? 1 : between(1, 4);
  const int kernel_w = one ? 1 : between(1, 4);
  const int in_c = between(1, 21);
  const int out_c = between(1, 9);
  micronet_conv_params p = random_conv(kernel_h, kernel_w, in_c, out_c, 9);
  if (one && chance(2))
    p.shape.in_h = p.shape.in_w = p.shape.out_h = p.shape.out_w = 1,
    p.shape.pad_top = p.shape.pad_left = 0;
  const int patch = p.shape.kernel_h * p.shape.kernel_w * p.shape.in_c;
  const int zero_point = between(-128, 127);
  const quantization q =
      random_quantization(p.shape.out_c, patch * 127 * 255, zero_point, chance(4));
  const int8_t *in = random_int8((size_t)p.shape.in_h * p.shape.in_w * p.shape.in_c, -128);
  p.weights = random_int8((size_t)p.shape.out_c * patch, -127);
  p.channels = q.records;
  const size_t n = (size_t)p.shape.out_h * p.shape.out_w * p.shape.out_c;
  int8_t *out = take(n, 1);
  const size_t room =
      some_scratch(MICRONET_CONV2D_SCRATCH(patch),
                   MICRONET_CONV2D_MOST_SCRATCH(patch, p.shape.out_h * p.shape.out_w));
  void *const scratch = take(room, 8);
  micronet_conv2d(&p, in, out, scratch, room);
  expect_same("conv2d differs from its plain form", out,
              run_plain(&p, &q, 1, zero_point, p.weights, in, 0), n);
  bands_case(&p, micronet_conv2d, in, out, scratch, room);
  add_to_checksum(out, n);
}

static void column_case(void) {
  const int kernel_h = between(1, 4);
  const int out_c = between(1, 6);
  micronet_conv_params p = random_conv(kernel_h, 1, 3, out_c, 15);
  p.shape.stride_w = 1;
  p.shape.pad_left = 0;
  p.shape.out_w = p.shape.in_w;
  const int zero_point = between(-128, 127);
  const quantization q =
      random_quantization(p.shape.out_c, 3 * p.shape.kernel_h * 127 * 255, zero_point, 0);
  p.weights = random_int8((size_t)p.shape.out_c * p.shape.kernel_h * 3, -127);
  p.channels = q.records;
  const size_t n = (size_t)p.shape.out_h * p.shape.out_w * p.shape.out_c;
  const size_t in_size = (size_t)p.shape.in_h * p.shape.in_w * 3;
  const int8_t *in = random_int8(in_size, -128);
  int8_t *out = take(n, 1);
  expect_status("column_rgb refuses", micronet_conv2d_column_rgb(&p, in, out), MICRONET_OK);
  expect_same("column_rgb differs from its plain form", out,
              run_plain(&p, &q, 1, zero_point, p.weights, in, 0), n);
  add_to_checksum(out, n);

  /* Output laid over the input rows that are used up, as tight as the interface allows. */
  const int32_t out_row = p.shape.out_w * p.shape.out_c, in_row = p.shape.in_w * 3;
  int32_t lead = 0;
  for (int y = 0; y < p.shape.out_h; ++y) {
    const int first = y * p.shape.stride_h - p.shape.pad_top;
    const int32_t need = (y + 1) * out_row - (first > 0 ? first : 0) * in_row;
    if (need > lead) lead = need;
  }
  int8_t *shared = take((size_t)lead + in_size > n ? (size_t)lead + in_size : n, 1);
  memcpy(shared + lead, in, in_size);
  expect_status("column_rgb refuses its own input",
                micronet_conv2d_column_rgb(&p, shared + lead, shared), MICRONET_OK);
  expect_same("column_rgb over its own input differs", shared, out, n);

  /* A taller column is refused, and nothing is written. */
  p.shape.kernel_h = MICRONET_MOST_COLUMN_ROWS + 1;
  expect_status("column_rgb takes too tall a kernel",
                micronet_conv2d_column_rgb(&p, shared + lead, shared), MICRONET_REFUSED);
  expect_same("column_rgb refuses and writes", shared, out, n);
}

static size_t depthwise_scratch(const micronet_conv_shape *s) {
  return some_scratch(0, MICRONET_DEPTHWISE_SCRATCH(s->out_h, s->stride_h, s->out_w, s->stride_w));
}

/* Whether micronet_depthwise_1d must take it. */
static int along_one_axis(int kernel, int stride, int pad, int in, int out, int other_pad,
                          int other_last, int other_in) {
  return kernel <= 5 && stride <= 2 && out * stride <= 250 && pad < kernel &&
         (out - 1) * stride - pad < in && other_pad == 0 && other_last < other_in;
}

static int must_take_1d(const micronet_conv_shape *s) {
  const int vertical =
      s->kernel_w == 1 && along_one_axis(s->kernel_h, s->stride_h, s->pad_top, s->in_h, s->out_h,
                                         s->pad_left, (s->out_w - 1) * s->stride_w, s->in_w);
  const int horizontal =
      s->kernel_h == 1 && along_one_axis(s->kernel_w, s->stride_w, s->pad_left, s->in_w, s->out_w,
                                         s->pad_top, (s->out_h - 1) * s->stride_h, s->in_h);
  return vertical || horizontal;
}

/* Does all, or refuses and does nothing. */
static void depthwise_1d_case(const micronet_conv_params *p, const int8_t *in,
                              const int8_t *expected, size_t n) {
  int8_t *out = take(n, 1), *untouched = take(n, 1);
  memset(out, CANARY, n);
  memset(untouched, CANARY, n);
  const micronet_status status = micronet_depthwise_1d(p, in, out, NULL, 0);
  if (must_take_1d(&p->shape)) expect_status("depthwise_1d refuses", status, MICRONET_OK);
  expect_same("depthwise_1d differs", out, status == MICRONET_OK ? expected : untouched, n);
}

/* Some channels get scales that no record takes, and useless records. */
static void depthwise_wide_case(const micronet_conv_params *like, const micronet_conv_params *plain,
                                quantization q, int zero_point, const int8_t *in,
                                const int8_t *plain_in) {
  const int taps = like->shape.kernel_h * like->shape.kernel_w, out_c = like->shape.out_c;
  uint16_t *channel = take(2 * (size_t)out_c, 2);
  int8_t *weights = take((size_t)(out_c * taps), 1), *shift = take((size_t)out_c, 1);
  int32_t *bias = take(4 * (size_t)out_c, 4), *multiplier = take(4 * (size_t)out_c, 4);
  const size_t n = (size_t)(like->shape.out_h * like->shape.out_w * out_c);
  int8_t *out = take(n, 1);
  int count = 0;
  for (int o = 0; o < out_c; ++o) {
    if (!chance(3)) continue;
    const micronet_channel useless = {1, 1, 1, 1};
    q.shift[o] = (int8_t)between(-31, 4);
    q.records[o] = useless;
    channel[count] = (uint16_t)o;
    for (int t = 0; t < taps; ++t) weights[count * taps + t] = like->weights[t * out_c + o];
    bias[count] = q.bias[o];
    multiplier[count] = q.multiplier[o];
    shift[count++] = q.shift[o];
  }
  const micronet_depthwise_wide_params wide = {
      {(int16_t)count, (int16_t)zero_point}, channel, weights, bias, multiplier, shift};
  const micronet_conv_kernel rest =
      must_take_1d(&like->shape) ? micronet_depthwise_1d : micronet_depthwise;
  const size_t room = depthwise_scratch(&like->shape);
  expect_status("depthwise_wide refuses",
                micronet_depthwise_wide(like, &wide, rest, between(1, like->shape.out_h), in, out,
                                        take(room, 8), room),
                MICRONET_OK);
  expect_same("depthwise_wide differs from its plain form", out,
              run_plain(plain, &q, 1, zero_point, like->weights, plain_in, 1), n);
  add_to_checksum(out, n);
}

static void depthwise_case(void) {
  static const int multipliers[] = {1, 1, 2, 3, 4, 8};
  const int k = between(1, 6);
  const int shape = between(0, 3);
  const int in_c = between(1, 12);
  const int kernel_h = shape == 0 ? k : shape == 1 ? 1 : shape == 2 ? 3 : between(1, 4);
  const int kernel_w = shape == 0 ? 1 : shape == 1 ? k : shape == 2 ? 3 : between(1, 4);
  const int with_source = chance(3);
  const int out_c = with_source ? between(1, 20) : in_c * one_of(multipliers, 6);
  micronet_conv_params p = random_conv(kernel_h, kernel_w, in_c, out_c, chance(4) ? 20 : 11);
  const int taps = p.shape.kernel_h * p.shape.kernel_w;
  const int zero_point = between(-128, 127);
  const quantization q = random_quantization(p.shape.out_c, taps * 127 * 255, zero_point, 0);
  const int8_t *in = random_int8((size_t)p.shape.in_h * p.shape.in_w * p.shape.in_c, -128);
  p.weights = random_int8((size_t)p.shape.out_c * taps, -127);
  p.channels = q.records;
  const size_t n = (size_t)p.shape.out_h * p.shape.out_w * p.shape.out_c;
  int8_t *out = take(n, 1);
  micronet_conv_params plain = p;
  const int8_t *plain_in = in;
  if (with_source) {
    const int pixels = p.shape.in_h * p.shape.in_w;
    uint16_t *source = take(2 * (size_t)out_c, 2);
    for (int o = 0; o < out_c; ++o) source[o] = (uint16_t)between(0, in_c - 1);
    p.source = source;
    int8_t *gathered = take((size_t)pixels * (size_t)out_c, 1);
    micronet_gather_channels(pixels, in_c, out_c, source, in, gathered);
    plain.shape.in_c = p.shape.out_c;
    plain_in = gathered;
  }
  const size_t room = depthwise_scratch(&p.shape);
  void *const scratch = take(room, 8);
  expect_status("depthwise refuses", micronet_depthwise(&p, in, out, scratch, room), MICRONET_OK);
  expect_same("depthwise differs from its plain form", out,
              run_plain(&plain, &q, 1, zero_point, p.weights, plain_in, 1), n);
  bands_case(&p, micronet_depthwise, in, out, scratch, room);
  add_to_checksum(out, n);
  depthwise_1d_case(&p, in, out, n);
  depthwise_wide_case(&p, &plain, q, zero_point, in, plain_in);
}

/* A kernel of 260 x 260 whose sum leaves 32 bits: both plain forms wrap, and neither overflows. */
static void plain_case(void) {
  if (!chance(20)) return;
  enum { side = 260, taps = side * side };
  micronet_conv_params p;
  memset(&p, 0, sizeof p);
  const micronet_conv_shape shape = {side, side, 1, 1, 1,    1,    side, side,
                                     1,    1,    0, 0, -128, -128, 127};
  p.shape = shape;
  const quantization q = random_quantization(1, taps * 127, 0, 1);
  int8_t *in = take(taps, 1), *weights = take(taps, 1);
  memset(in, 127, taps);
  memset(weights, 127, taps);
  const int8_t *out = run_plain(&p, &q, 1, 0, weights, in, 0);
  expect_same("the plain forms differ", run_plain(&p, &q, 1, 0, weights, in, 1), out, 1);
  add_to_checksum(out, 1);
}

static void grouped_case(void) {
  static const int inputs[] = {4, 4, 8, 8, 12, 12, 16, 1, 2, 3, 5, 6, 10, 20, 24, 32, 72};
  const int group_in = one_of(inputs, 17), group_out = between(1, 9), groups = between(1, 5);
  micronet_conv_params like = random_conv(1, 1, group_in * groups, group_out * groups, 5);
  like.shape.stride_h = like.shape.stride_w = 1;
  like.shape.pad_top = like.shape.pad_left = 0;
  like.shape.out_h = like.shape.in_h;
  like.shape.out_w = like.shape.in_w;
  const int zero_point = between(-128, 127);
  const quantization q = random_quantization(like.shape.out_c, group_in * 127 * 255, zero_point, 0);
  const int8_t *weights = random_int8((size_t)like.shape.out_c * group_in, -127);
  const int row = MICRONET_ROUND_UP_4(group_in);
  int16_t *doubled_weights = take(2 * (size_t)(like.shape.out_c * row), 4);
  for (int o = 0; o < like.shape.out_c; ++o) {
    for (int i = 0; i < row; ++i) {
      static const int order[] = {0, 2, 1, 3};
      const int source = (i & ~3) + order[i & 3];
      doubled_weights[o * row + i] =
          (int16_t)(source < group_in ? 2 * weights[o * group_in + source] : 0);
    }
  }
  const micronet_conv2d_grouped_1x1_params p = {
      {like.shape.in_h * like.shape.in_w, like.shape.in_c, like.shape.out_c, (int16_t)groups,
       like.shape.input_zero_point, like.shape.clamp_min, like.shape.clamp_max},
      doubled_weights,
      q.records};
  const int8_t *in = random_int8((size_t)p.shape.pixels * p.shape.in_c, -128);
  const size_t n = (size_t)p.shape.pixels * p.shape.out_c;
  int8_t *out = take(n, 1);
  const size_t room = some_scratch(MICRONET_CONV2D_GROUPED_1X1_SCRATCH(group_in),
                                   MICRONET_CONV2D_MOST_SCRATCH(group_in, p.shape.pixels));
  micronet_conv2d_grouped_1x1(&p, in, out, take(room, 8), room);
  expect_same("grouped 1x1 differs from its plain form", out,
              run_plain(&like, &q, groups, zero_point, weights, in, 0), n);
  add_to_checksum(out, n);
}

static void fully_connected_case(void) {
  const int in_c = between(1, 70);
  const int out_c = between(1, 33);
  micronet_conv_params like = random_conv(1, 1, in_c, out_c, 1);
  like.shape.pad_top = like.shape.pad_left = 0;
  like.shape.out_h = like.shape.out_w = 1;
  const int zero_point = between(-128, 127);
  const quantization q =
      random_quantization(like.shape.out_c, like.shape.in_c * 127 * 255, zero_point, 1);
  int32_t *doubled_bias = take(4 * (size_t)like.shape.out_c, 4);
  for (int o = 0; o < like.shape.out_c; ++o) doubled_bias[o] = q.records[o].doubled_bias;
  const micronet_fully_connected_params p = {
      {like.shape.in_c, like.shape.out_c, like.shape.input_zero_point, like.shape.clamp_min,
       like.shape.clamp_max, q.records[0].multiplier, q.records[0].offset, q.records[0].shift},
      random_int8((size_t)like.shape.in_c * like.shape.out_c, -127),
      doubled_bias};
  const int8_t *in = random_int8((size_t)p.shape.in_c, -128);
  int8_t *out = take((size_t)p.shape.out_c, 1);
  void *const scratch = take(MICRONET_FULLY_CONNECTED_SCRATCH((size_t)p.shape.in_c), 8);
  micronet_fully_connected(&p, in, out, chance(3) ? NULL : scratch);
  expect_same("fully connected differs from its plain form", out,
              run_plain(&like, &q, 1, zero_point, p.weights, in, 0), (size_t)p.shape.out_c);
  add_to_checksum(out, (size_t)p.shape.out_c);
}

static void shuffle(uint16_t *p, int n) {
  for (int i = 0; i < n; ++i) p[i] = (uint16_t)i;
  for (int i = n - 1; i > 0; --i) {
    const int j = between(0, i);
    const uint16_t t = p[i];
    p[i] = p[j];
    p[j] = t;
  }
}

static void dyshiftmax_case(void) {
  micronet_dyshiftmax_params p;
  memset(&p, 0, sizeof p);
  p.shape.pixels = between(1, 20);
  p.shape.channels = (int16_t)(chance(2) ? 4 * between(1, 8) : between(1, 30));
  p.shape.branches = (int16_t)between(1, 2);
  p.shape.input_zero_point = (int16_t)between(-128, 127);
  p.shape.output_zero_point = (int16_t)between(-128, 127);
  for (int i = 0; i < 4; ++i) {
    p.shape.coefficient[i].multiplier = between(1, 8380000);
    p.shape.coefficient[i].zero_point = i % 2 ? between(-10, 10) : between(-70, -58);
  }
  uint16_t *shift = take(2 * (size_t)p.shape.channels, 2),
           *source = take(2 * (size_t)p.shape.channels, 2);
  shuffle(shift, p.shape.channels);
  shuffle(source, p.shape.channels);
  p.shift = shift;
  p.source = chance(2) ? source : NULL;
  const size_t n = (size_t)p.shape.pixels * p.shape.channels;
  const int8_t *in = random_int8(n, -128);
  const int8_t *coefficients[4];
  for (int i = 0; i < 4; ++i) coefficients[i] = random_int8((size_t)p.shape.channels, -128);
  /* Both branches' coefficients may differ by at most 32767 steps of 2^-12. */
  for (int i = 0; i < 2; ++i) {
    if (p.shape.coefficient[i].multiplier > 8000000) p.shape.coefficient[i].multiplier = 8000000;
    p.shape.coefficient[i + 2] = p.shape.coefficient[i];
  }
  int8_t *out = take(n, 1);
  expect_status("dyshiftmax refuses", micronet_dyshiftmax(&p, in, coefficients, out, NULL, 0),
                MICRONET_OK);
  add_to_checksum(out, n);
  int8_t *in_place = take(n, 1);
  memcpy(in_place, in, n);
  const size_t scratch =
      MICRONET_DYSHIFTMAX_SCRATCH((size_t)p.shape.channels) * (size_t)between(1, 5);
  expect_status("dyshiftmax takes too little scratch",
                micronet_dyshiftmax(&p, in_place, coefficients, in_place, take(scratch, 8),
                                    (size_t)p.shape.channels - 1),
                MICRONET_REFUSED);
  expect_same("dyshiftmax refuses and writes", in_place, in, n);
  expect_status(
      "dyshiftmax in place refuses",
      micronet_dyshiftmax(&p, in_place, coefficients, in_place, take(scratch, 8), scratch),
      MICRONET_OK);
  expect_same("dyshiftmax in place differs", in_place, out, n);
}

static void pool_case(void) {
  const int kernel_h = between(1, 4);
  const int kernel_w = between(1, 4);
  const micronet_conv_params c = random_conv(kernel_h, kernel_w, 1, 1, 9);
  micronet_pool_params p = {c.shape.in_h,     c.shape.in_w,     (int16_t)between(1, 19),
                            c.shape.out_h,    c.shape.out_w,    c.shape.kernel_h,
                            c.shape.kernel_w, c.shape.stride_h, c.shape.stride_w,
                            c.shape.pad_top,  c.shape.pad_left, c.shape.clamp_min,
                            c.shape.clamp_max};
  /* A window that is wholly outside of the image has no mean. */
  if (p.pad_top >= p.kernel_h) p.pad_top = 0;
  if (p.pad_left >= p.kernel_w) p.pad_left = 0;
  while ((p.out_h - 1) * p.stride_h - p.pad_top >= p.in_h) --p.out_h;
  while ((p.out_w - 1) * p.stride_w - p.pad_left >= p.in_w) --p.out_w;
  const int8_t *in = random_int8((size_t)p.in_h * p.in_w * p.channels, -128);
  const size_t n = (size_t)p.out_h * p.out_w * p.channels;
  int8_t *out = take(n, 1);
  micronet_average_pool(&p, in, out);
  add_to_checksum(out, n);
  micronet_max_pool(&p, in, out);
  add_to_checksum(out, n);
  const int32_t pixels = chance(8) ? between(250, 700) : between(1, 60);
  const int8_t *map = random_int8((size_t)pixels * p.channels, -128);
  int8_t *mean = take((size_t)p.channels, 1);
  micronet_global_average_pool(pixels, p.channels, map, mean);
  add_to_checksum(mean, (size_t)p.channels);
}

static void mean_case(void) {
  micronet_mean_params p;
  p.pixels = chance(8) ? between(250, 700) : between(1, 60);
  p.channels = between(1, 19);
  p.input_offset = p.pixels * between(-128, 127);
  p.multiplier = (int32_t)((1u << 30) + random_bits() % (1u << 30)) / p.pixels;
  p.shift = (int16_t)-between(0, 3);
  p.output_zero_point = (int16_t)between(-128, 127);
  const int8_t *in = random_int8((size_t)(p.pixels * p.channels), -128);
  int8_t *out = take((size_t)p.channels, 1);
  micronet_mean(&p, in, out);
  add_to_checksum(out, (size_t)p.channels);
}

static int32_t resize_step(int in, int out, int aligned) {
  return aligned && out > 1 ? (1024 * (in - 1) + (out - 1) / 2) / (out - 1)
                            : (1024 * in + out / 2) / out;
}

static void resize_case(void) {
  micronet_resize_bilinear_params p;
  p.in_h = (int16_t)between(1, 9);
  p.in_w = (int16_t)between(1, 9);
  p.channels = (int16_t)between(1, 7);
  p.out_h = (int16_t)between(1, 19);
  p.out_w = (int16_t)between(1, 19);
  const int how = between(0, 2); /* aligned corners, half pixel centres, neither */
  p.step_h = resize_step(p.in_h, p.out_h, how == 0);
  p.step_w = resize_step(p.in_w, p.out_w, how == 0);
  p.start_h = how == 1 ? p.step_h / 2 - 512 : 0;
  p.start_w = how == 1 ? p.step_w / 2 - 512 : 0;
  const int8_t *in = random_int8((size_t)(p.in_h * p.in_w * p.channels), -128);
  const size_t n = (size_t)(p.out_h * p.out_w * p.channels);
  int8_t *out = take(n, 1);
  micronet_resize_bilinear(&p, in, out);
  add_to_checksum(out, n);
}

/* The fast form against the plain one: input 1 has the multiplier 1/2. */
static void add_case(const micronet_binary_params *like, const int8_t *a, const int8_t *b,
                     int8_t *out) {
  micronet_binary_params p = *like;
  p.in1_multiplier = 1 << 30;
  p.in1_shift = 0;
  p.in2_shift = (int8_t)-between(1, 10);
  p.out_shift = (int8_t)-between(15, 22);
  const int r = -p.out_shift;
  int32_t *table = take(4 * 256, 4);
  for (int q = -128; q < 128; ++q) {
    const int64_t high =
        ((int64_t)(q - p.in2_zero_point) * (1 << 20) * p.in2_multiplier + (1 << 30)) >> 31;
    const int64_t half = (int64_t)1 << (-p.in2_shift - 1);
    const int64_t scaled = (high + half - (high < 0)) >> -p.in2_shift;
    table[q + 128] = (int32_t)(2 * scaled - (int64_t)p.in1_zero_point * (1 << 20));
  }
  const micronet_add_params fast = {
      {p.count, p.in1_count, p.in2_count, p.out_multiplier,
       p.output_zero_point * (1 << r) + (1 << (r - 1)), r, p.clamp_min, p.clamp_max},
      table};
  const size_t n = (size_t)p.count;
  int8_t *plain = take(n, 1);
  micronet_add_plain(&p, a, b, plain);
  micronet_add(&fast, a, b, out);
  expect_same("add differs from its plain form", out, plain, n);
  add_to_checksum(out, n);
}

/* The same of MUL. */
static void mul_case(const micronet_binary_params *like, const int8_t *a, const int8_t *b,
                     int8_t *out) {
  micronet_binary_params p = *like;
  const int r = between(1, 22);
  p.out_shift = (int8_t)-r;
  const micronet_mul_params fast = {p.count,
                                    p.in1_count,
                                    p.in2_count,
                                    p.in1_zero_point,
                                    p.in2_zero_point,
                                    p.clamp_min,
                                    p.clamp_max,
                                    p.out_multiplier,
                                    p.output_zero_point * (1 << r) + (1 << (r - 1)),
                                    r};
  const size_t n = (size_t)p.count;
  int8_t *plain = take(n, 1);
  micronet_mul_plain(&p, a, b, plain);
  micronet_mul(&fast, a, b, out);
  expect_same("mul differs from its plain form", out, plain, n);
  add_to_checksum(out, n);
}

static void elementwise_case(void) {
  const int c = between(1, 17), pixels = between(1, 9);
  const int32_t lengths[3] = {c * pixels, c, 1};
  const int which = between(0, 3);
  micronet_binary_params p;
  memset(&p, 0, sizeof p);
  p.count = c * pixels;
  p.in1_count = which == 3 ? lengths[between(0, 2)] : p.count;
  p.in2_count = which == 3 ? p.count : lengths[which];
  p.in1_zero_point = (int16_t)between(-128, 127);
  p.in2_zero_point = (int16_t)between(-128, 127);
  p.output_zero_point = (int16_t)between(-128, 127);
  random_clamp(&p.clamp_min, &p.clamp_max);
  p.in1_multiplier = (int32_t)((1u << 30) + random_bits() % (1u << 30));
  p.in2_multiplier = (int32_t)((1u << 30) + random_bits() % (1u << 30));
  p.out_multiplier = (int32_t)((1u << 30) + random_bits() % (1u << 30));
  p.in1_shift = (int8_t)-between(0, 10);
  p.in2_shift = (int8_t)-between(0, 10);
  p.out_shift = (int8_t)-between(10, 25);
  const int8_t *a = random_int8((size_t)p.in1_count, -128);
  const int8_t *b = random_int8((size_t)p.in2_count, -128);
  const size_t n = (size_t)p.count;
  int8_t *out = take(n, 1);
  micronet_add_plain(&p, a, b, out);
  add_to_checksum(out, n);
  micronet_sub_plain(&p, a, b, out);
  add_to_checksum(out, n);
  add_case(&p, a, b, out);
  p.out_shift = (int8_t)-between(-2, 20);
  micronet_mul_plain(&p, a, b, out);
  add_to_checksum(out, n);
  mul_case(&p, a, b, out);
  if (p.in1_count == p.count) {
    micronet_prelu(&p, a, b, out);
    add_to_checksum(out, n);
  }
  micronet_maximum(p.count, p.in1_count, p.in2_count, a, b, out);
  add_to_checksum(out, n);
  micronet_minimum(p.count, p.in1_count, p.in2_count, a, b, out);
  add_to_checksum(out, n);
  const int lowest = between(-128, 0), highest = between(0, 127);
  micronet_clamp(p.count, lowest, highest, out, out);
  add_to_checksum(out, n);
  micronet_lookup(random_int8(256, -128), p.count, out, out);
  add_to_checksum(out, n);
  const micronet_softmax_params softmax = {1, p.count, p.in1_multiplier, 24, -248};
  micronet_softmax(&softmax, out, out);
  add_to_checksum(out, n);
}

/* Floats between, on and far beyond the steps; each form may lie over its input. */
static void float_case(void) {
  const int32_t count = between(1, 40), zero_point = between(-128, 127);
  const float scale = (float)between(1, 1000) / 512.0f;
  const size_t n = (size_t)count;
  float *shared = take(4 * n, 4), *reals = take(4 * n, 4);
  for (int32_t i = 0; i < count; ++i) {
    reals[i] = (float)between(-600, 600) * scale * (chance(20) ? 1e12f : 0.5f);
  }
  memcpy(shared, reals, 4 * n);
  int8_t *out = take(n, 1);
  micronet_quantize(count, scale, zero_point, reals, out);
  micronet_quantize(count, scale, zero_point, shared, (int8_t *)shared);
  expect_same("quantize over its input differs", (int8_t *)shared, out, n);
  add_to_checksum(out, n);
  micronet_dequantize(count, scale, zero_point, out, reals);
  memcpy((int8_t *)shared + 3 * n, out, n);
  micronet_dequantize(count, scale, zero_point, (int8_t *)shared + 3 * n, shared);
  expect_same("dequantize over its input differs", (int8_t *)shared, (int8_t *)reals, 4 * n);
  add_to_checksum((int8_t *)reals, 4 * n);
}

/* A walk that stays inside of its input, and the copies in blocks. */
static void walk_case(void) {
  micronet_move_params p;
  int32_t span = 0, count = 1;
  p.start = 0;
  for (int i = 0; i < MICRONET_MOVE_AXES; ++i) {
    p.size[i] = chance(2) ? 1 : between(1, 4);
    p.step[i] = i == MICRONET_MOVE_AXES - 1 && chance(2) ? 1 : between(-7, 7);
    const int32_t reach = (p.size[i] - 1) * p.step[i];
    if (reach < 0) p.start -= reach;
    span += reach < 0 ? -reach : reach;
    count *= p.size[i];
  }
  int8_t *out = take((size_t)count, 1);
  micronet_move(&p, random_int8((size_t)span + 1, -128), out);
  add_to_checksum(out, (size_t)count);

  const int32_t rows = between(1, 5);
  int32_t *widths = take(4 * 3, 4), width = 0;
  const int8_t *inputs[3];
  for (int i = 0; i < 3; ++i) {
    widths[i] = between(1, 9);
    width += widths[i];
    inputs[i] = random_int8((size_t)(rows * widths[i]), -128);
  }
  const size_t n = (size_t)(rows * width);
  int8_t *joined = take(n, 1);
  micronet_concatenate(rows, 3, widths, inputs, joined);
  add_to_checksum(joined, n);

  const int32_t outer = between(1, 3), in_n = between(1, 5), out_n = between(1, 6);
  const int32_t block = between(1, 7);
  uint16_t *index = take(2 * (size_t)out_n, 2);
  for (int i = 0; i < out_n; ++i) index[i] = (uint16_t)between(0, in_n - 1);
  int8_t *gathered = take((size_t)(outer * out_n * block), 1);
  const int8_t *in = random_int8((size_t)(outer * in_n * block), -128);
  micronet_gather_blocks(outer, in_n, out_n, block, index, in, gathered);
  add_to_checksum(gathered, (size_t)(outer * out_n * block));
}

static void move_case(void) {
  micronet_pad_params p = {(int16_t)between(1, 5), (int16_t)between(1, 5),
                           (int16_t)between(1, 9), (int16_t)between(0, 2),
                           (int16_t)between(0, 2), (int16_t)between(0, 2),
                           (int16_t)between(0, 2), (int16_t)between(0, 2),
                           (int16_t)between(0, 2), (int8_t)between(-128, 127)};
  const int32_t pixels = p.in_h * p.in_w;
  const int8_t *in = random_int8((size_t)pixels * p.in_c, -128);
  const size_t n = (size_t)(p.in_h + p.top + p.bottom) * (p.in_w + p.left + p.right) *
                   (p.in_c + p.front + p.back);
  int8_t *out = take(n, 1);
  micronet_pad(&p, in, out);
  add_to_checksum(out, n);
  const int out_c = between(1, 12);
  uint16_t *index = take(2 * (size_t)out_c, 2);
  for (int i = 0; i < out_c; ++i) index[i] = (uint16_t)between(0, p.in_c - 1);
  int8_t *gathered = take((size_t)pixels * out_c, 1);
  micronet_gather_channels(pixels, p.in_c, out_c, index, in, gathered);
  add_to_checksum(gathered, (size_t)pixels * out_c);
}

static const struct {
  const char *name;
  void (*run)(void);
} kernels[] = {
    {"conv2d", conv_case},
    {"column_rgb", column_case},
    {"depthwise", depthwise_case},
    {"grouped_1x1", grouped_case},
    {"fully_connected", fully_connected_case},
    {"dyshiftmax", dyshiftmax_case},
    {"pool", pool_case},
    {"elementwise", elementwise_case},
    {"float", float_case},
    {"move", move_case},
    {"walk", walk_case},
    {"plain", plain_case},
    {"mean", mean_case},
    {"resize", resize_case},
};

static int fuzz(int cases, uint32_t seed) {
  for (unsigned k = 0; k < sizeof kernels / sizeof kernels[0]; ++k) {
    checksum = 2166136261u;
    for (int i = 0; i < cases; ++i) {
      state = seed * 2654435761u + (uint32_t)i * 40503u + k + 1;
      if (state == 0) state = 1;
      for (int warm = 0; warm < 8; ++warm) random_bits();
      kernels[k].run();
      release_all(kernels[k].name);
    }
    say(kernels[k].name, checksum);
  }
  return failures ? 1 : 0;
}

#ifdef ON_BOARD
int main(void) { return fuzz(FUZZ_CASES, 1); }
#else
int main(int argc, char **argv) {
  return fuzz(argc > 1 ? atoi(argv[1]) : 100, argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1);
}
#endif
