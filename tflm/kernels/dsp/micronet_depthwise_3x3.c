/* DEPTHWISE_CONV_2D 3x3, horizontal strides 1 and 2, any multiplier, for Armv7E-M. */
#include "micronet_depthwise.h"
#include "micronet_dsp.h"

#if MICRONET_DSP

/* Channel by channel. A band of its lines goes to the scratch memory, 16 bits a value, with the
 * padding (the zero point, which the bias takes back); the weights stay in registers, and a window
 * slides along the lines, two outputs at a time. A line has 16 or 64 values, so that all of a window is
 * at constant distances; what is wider is done in tiles. */
#define SHORT_LINE 16
#define LONG_LINE 64
/* Below that many columns the set-up of a channel costs more than it saves. */
#define SMALLEST_MAP 4

/* What a band of outputs of one channel needs; the assembly reads it by its offsets. */
typedef struct {
  int32_t doubled_bias, multiplier, offset;
  int32_t out_step; /* bytes from output to output */
  int32_t count;    /* (pairs in a row - 1) << 8 | shift */
  int32_t in_move;  /* bytes from a row's end to the next one's start */
  int32_t out_move;
  int32_t rows;
  micronet_pair w[6]; /* doubled; of every row {0, 1} and {1, 2} */
} band;

typedef void (*band_function)(const int16_t *x, int8_t *out, const band *b);

#if MICRONET_ARM_DSP

/* r0 x, r1 out, r2 count, r3 .. r8 weights, r11 and r12 the sums; on the stack the other members of
 * `band`. A load brings four values of a row, and the sums of both outputs need six products. */
#define ROW_OF_STRIDE_1(at, unused, first, second, bias)                                      \
  "ldrd r9, r10, [r0, #" at "]\n smlatb r12, r9, " first ", " bias "\n smlad r11, r9, " first \
  ", r11\n smlad r12, r10, " second ", r12\n smlabt r11, r10, " second ", r11\n"
#define ROW_OF_STRIDE_2(at, at_last, first, second, bias)                                     \
  "ldrd r9, r10, [r0, #" at "]\n smlad r12, r10, " first ", " bias "\n smlad r11, r9, " first \
  ", r11\n smlabt r11, r10, " second ", r11\n ldr r9, [r0, #" at_last                         \
  "]\n smlabt r12, r9, " second ", r12\n"
#define REQUANTIZE(sum) \
  "add lr, r10, " sum ", asr #31\n smmlar lr, " sum ", r9, lr\n asr lr, lr, r2\n ssat lr, #8, lr\n"
#define BAND(name, row, move, at_1, last_1, at_2, last_2)                                    \
  MICRONET_NAKED static void name(const int16_t *x MICRONET_IN_REGISTER,                     \
                                  int8_t *out MICRONET_IN_REGISTER,                          \
                                  const band *b MICRONET_IN_REGISTER) {                      \
    __asm__("push {r4-r11, lr}\n ldm r2!, {r4-r11}\n push {r4-r11}\n ldm r2, {r3-r8}\n"    \
            "1:\n ldr r2, [sp, #16]\n"                                                     \
            "2:\n ldr r11, [sp]\n" row("0", "8", "r3", "r4", "r11")                        \
            row(at_1, last_1, "r5", "r6", "r12") row(at_2, last_2, "r7", "r8", "r12")      \
            "add r0, r0, #" move "\n ldrd r9, r10, [sp, #4]\n"                             \
            REQUANTIZE("r11") "strb lr, [r1]\n" REQUANTIZE("r12") "ldr r9, [sp, #12]\n"    \
            "strb lr, [r1, r9]\n add r1, r1, r9, lsl #1\n subs r2, r2, #256\n bpl 2b\n"    \
            "ldrd r9, r10, [sp, #20]\n add r0, r0, r9\n add r1, r1, r10\n"                 \
            "ldr r9, [sp, #28]\n subs r9, r9, #1\n str r9, [sp, #28]\n bne 1b\n"           \
            "add sp, sp, #32\n pop {r4-r11, pc}\n"); \
  }
BAND(short_band_of_stride_1, ROW_OF_STRIDE_1, "4", "32", "40", "64", "72")
BAND(short_band_of_stride_2, ROW_OF_STRIDE_2, "8", "32", "40", "64", "72")
BAND(long_band_of_stride_1, ROW_OF_STRIDE_1, "4", "128", "136", "256", "264")
BAND(long_band_of_stride_2, ROW_OF_STRIDE_2, "8", "128", "136", "256", "264")
#undef ROW_OF_STRIDE_1
#undef ROW_OF_STRIDE_2
#undef REQUANTIZE
#undef BAND

#else

MICRONET_INLINE void band_of_stride(const int stride, int32_t line, const int16_t *x, int8_t *out,
                                    const band *b) {
  for (int32_t rows = b->rows; rows > 0; --rows, x += b->in_move / 2, out += b->out_move) {
    for (int32_t n = b->count; n >= 0; n -= 256, x += 2 * stride, out += 2 * b->out_step) {
      for (int i = 0; i < 2; ++i) {
        int32_t sum = b->doubled_bias;
        for (int row = 0; row < 3; ++row) {
          const int16_t *v = x + row * line + i * stride;
          sum += v[0] * micronet_low(b->w[2 * row]) + v[1] * micronet_high(b->w[2 * row]) +
                 v[2] * micronet_high(b->w[2 * row + 1]);
        }
        out[i * b->out_step] = micronet_requantize(sum, b->multiplier, b->offset, b->count & 255);
      }
    }
  }
}
#define BAND(name, stride, line)                                   \
  static void name(const int16_t *x, int8_t *out, const band *b) { \
    band_of_stride(stride, line, x, out, b);                       \
  }
BAND(short_band_of_stride_1, 1, SHORT_LINE)
BAND(short_band_of_stride_2, 2, SHORT_LINE)
BAND(long_band_of_stride_1, 1, LONG_LINE)
BAND(long_band_of_stride_2, 2, LONG_LINE)
#undef BAND

#endif

/* The last output of a row of an odd number. */
static int8_t one_output(const int16_t *x, int32_t line, const band *b) {
  int32_t sum = b->doubled_bias;
  for (int row = 0; row < 3; ++row, x += line) {
    sum = micronet_smlad(micronet_make_pair(x[0], x[1]), b->w[2 * row], sum);
    sum += x[2] * micronet_high(b->w[2 * row + 1]);
  }
  return micronet_requantize(sum, b->multiplier, b->offset, b->count & 255);
}

/* `count` values of each of `rows` rows of one channel to 16 bits. */
static MICRONET_NOINLINE void copy_band(const int8_t *in, int32_t step, int32_t pitch,
                                        int32_t count, int32_t rows, int16_t *lines, int32_t line) {
  for (; rows > 0; --rows, in += pitch, lines += line) {
    const int8_t *x = in;
    int16_t *to = lines;
    int32_t n = count;
    for (; n >= 4; n -= 4, to += 4) {
      const int32_t a = x[0], b = x[step], c = micronet_load1_twice(x, step);
      x += 2 * step;
      const micronet_pair ab = micronet_pkhbt((uint32_t)a, (uint32_t)b);
      const micronet_pair cd = micronet_pkhbt((uint32_t)c, (uint32_t)x[step]);
      x += 2 * step;
      MICRONET_COPY(to, &ab, 4); /* not 4-byte aligned behind an odd padding */
      MICRONET_COPY(to + 2, &cd, 4);
    }
    for (; n > 0; --n, x += step) *to++ = *x;
  }
}

static MICRONET_NOINLINE void fill_band(int16_t *to, int32_t count, micronet_pair value) {
  for (int32_t i = 0; i < count; i += 2) micronet_store_pair(to + i, value);
}

static void prepare_band(const micronet_conv_params *p, int32_t o, band *b) {
  const micronet_channel *record = &p->channels[o];
  const int32_t out_c = p->shape.out_c;
  const int8_t *w = p->weights + o;
  int32_t sum = 0;
  for (int row = 0; row < 3; ++row, w += 3 * out_c) {
    const int32_t w0 = 2 * w[0], w1 = 2 * w[out_c], w2 = 2 * micronet_load1_twice(w, out_c);
    sum += w0 + w1 + w2;
    b->w[2 * row] = micronet_pkhbt((uint32_t)w0, (uint32_t)w1);
    b->w[2 * row + 1] = micronet_pkhbt((uint32_t)w1, (uint32_t)w2);
  }
  b->doubled_bias = record->doubled_bias - p->shape.input_zero_point * sum;
  b->multiplier = record->multiplier;
  b->offset = record->offset;
  b->count = record->shift;
}

/* Rows y .. y + rows - 1 of columns x .. x + columns - 1, an even number or the last ones. `lines`
 * hold the padding where the image does not reach. */
static void tile(const micronet_conv_params *p, int32_t y, int32_t rows, int32_t x, int32_t columns,
                 const int8_t *in, int8_t *out, int16_t *lines, int32_t line) {
  const int32_t in_c = p->shape.in_c, in_w = p->shape.in_w, out_c = p->shape.out_c;
  const int32_t stride = p->shape.stride_w, out_pitch = p->shape.out_w * out_c;
  const int32_t top = y * p->shape.stride_h - p->shape.pad_top;
  const int32_t left = x * stride - p->shape.pad_left;
  const int32_t all = (rows - 1) * p->shape.stride_h + 3, wide = (columns - 1) * stride + 3;
  const int32_t first = top < 0 ? -top : 0;
  const int32_t end = top + all > p->shape.in_h ? p->shape.in_h - top : all;
  const int32_t first_x = left < 0 ? -left : 0;
  const int32_t end_x = left + wide > in_w ? in_w - left : wide;
  const int32_t odd = columns & 1;
  const band_function run = line == SHORT_LINE
                                ? (stride == 1 ? short_band_of_stride_1 : short_band_of_stride_2)
                                : (stride == 1 ? long_band_of_stride_1 : long_band_of_stride_2);
  int32_t copied = -1;
  band b;
  b.out_step = out_c;
  for (int32_t o = 0; o < out_c; ++o) {
    const int32_t source = micronet_source(p, o);
    if (source != copied) {
      copy_band(in + ((top + first) * in_w + left + first_x) * in_c + source, in_c, in_w * in_c,
                end_x - first_x, end - first, lines + first * line + first_x, line);
      copied = source;
    }
    prepare_band(p, o, &b);
    /* An odd row's last pair writes the next row's first output, which is overwritten; there is
     * none below the last row of the map. */
    const int32_t odd_last = odd && y + rows == p->shape.out_h;
    int32_t pairs = (columns + odd) >> 1;
    int8_t *to = out + y * out_pitch + x * out_c + o;
    const int16_t *from = lines;
    b.count |= (pairs - 1) * 256;
    b.in_move = 2 * (line * p->shape.stride_h - 2 * pairs * stride);
    b.out_move = out_pitch - 2 * pairs * out_c;
    b.rows = rows - odd_last;
    if (b.rows > 0) run(from, to, &b);
    if (odd_last) {
      from += (rows - 1) * p->shape.stride_h * line;
      to += (rows - 1) * out_pitch;
      b.rows = 1;
      b.count -= 256;
      if (b.count >= 0) run(from, to, &b);
      b.count &= 255;
      to[(columns - 1) * out_c] = one_output(from + (columns - 1) * stride, line, &b);
    }
  }
}

micronet_status micronet_depthwise_3x3(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                       void *scratch, size_t scratch_bytes) {
  const int32_t stride_h = p->shape.stride_h, stride_w = p->shape.stride_w;
  const int32_t out_h = p->shape.out_h, out_w = p->shape.out_w;
  const int32_t line = MICRONET_DEPTHWISE_LINE(out_w, stride_w) / 2;
  const int32_t lines = (int32_t)scratch_bytes / (2 * line);
  if (p->shape.kernel_h != 3 || p->shape.kernel_w != 3 || stride_w > 2 || lines < 3 ||
      out_w < SMALLEST_MAP)
    return MICRONET_REFUSED;
  const micronet_pair zero =
      micronet_make_pair(p->shape.input_zero_point, p->shape.input_zero_point);
  const int32_t most_columns = (line - 4) / stride_w, most_rows = (lines - 3) / stride_h + 1;
  for (int32_t x = 0; x < out_w; x += most_columns) {
    const int32_t columns = out_w - x < most_columns ? out_w - x : most_columns;
    for (int32_t y = 0; y < out_h; y += most_rows) {
      const int32_t rows = out_h - y < most_rows ? out_h - y : most_rows;
      fill_band((int16_t *)scratch, ((rows - 1) * stride_h + 3) * line, zero);
      tile(p, y, rows, x, columns, in, out, (int16_t *)scratch, line);
    }
  }
  return MICRONET_OK;
}

#undef SHORT_LINE
#undef LONG_LINE
#undef SMALLEST_MAP

#endif
