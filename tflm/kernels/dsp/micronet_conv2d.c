/* CONV_2D with any kernel, one group, for Armv7E-M: as many pixels at a time as the scratch memory
 * holds, four by four, and two outputs at a time. */
#include "micronet_conv2d.h"
#include "micronet_four_pixels.h"

#if MICRONET_DSP

/* Where there is no room for four pixels, two output channels of two. `wide`: both pixels' patches, widened and doubled, a four of
 * the one and a four of the other in turn. */
static MICRONET_NOINLINE void two_by_two(int32_t patch, const int16_t *wide, const int8_t *w,
                                         int32_t w_step, const micronet_channel *c0,
                                         const micronet_channel *c1, int8_t *out0, int8_t *out1,
                                         int32_t second) {
  int32_t acc00 = c0->doubled_bias, acc01 = acc00, acc10 = c1->doubled_bias, acc11 = acc10;
  const int8_t *const end = w + (patch & ~3);
  while (w != end) {
    const micronet_four x = micronet_next_four(&wide), z = micronet_next_four(&wide);
    uint32_t word = micronet_load4(w);
    micronet_pair even = micronet_sxtb16(word), odd = micronet_sxtb16_odd(word);
    acc00 = micronet_smlad(even, x.first, acc00);
    acc01 = micronet_smlad(even, z.first, acc01);
    acc00 = micronet_smlad(odd, x.second, acc00);
    acc01 = micronet_smlad(odd, z.second, acc01);
    word = micronet_load4(w + w_step);
    even = micronet_sxtb16(word), odd = micronet_sxtb16_odd(word);
    acc10 = micronet_smlad(even, x.first, acc10);
    acc11 = micronet_smlad(even, z.first, acc11);
    acc10 = micronet_smlad(odd, x.second, acc10);
    acc11 = micronet_smlad(odd, z.second, acc11);
    w += 4;
  }
  for (int i = 0; i < (patch & 3); ++i) {
    const int32_t v0 = w[i], v1 = w[w_step + i];
    const int at = (i & 1) << 1 | i >> 1;
    acc00 += v0 * wide[at];
    acc01 += v0 * wide[4 + at];
    acc10 += v1 * wide[at];
    acc11 += v1 * wide[4 + at];
  }
  /* Where there is no second channel or pixel, its place is that of the first, which is written
   * last. */
  out1[0] = micronet_requantize(acc01, c0->multiplier, c0->offset, c0->shift);
  out1[second] = micronet_requantize(acc11, c1->multiplier, c1->offset, c1->shift);
  out0[0] = micronet_requantize(acc00, c0->multiplier, c0->offset, c0->shift);
  out0[second] = micronet_requantize(acc10, c1->multiplier, c1->offset, c1->shift);
}

static void pairs_of_pixels(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                            void *scratch) {
  const int32_t patch = p->shape.kernel_h * p->shape.kernel_w * p->shape.in_c;
  const int32_t pixels = (int32_t)p->shape.out_h * p->shape.out_w;
  const int direct = micronet_is_direct(p);
  int16_t *wide = (int16_t *)scratch;
  int8_t *gathered = (int8_t *)(wide + 2 * MICRONET_ROUND_UP_4(patch));
  int y = 0, x = 0;
  for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
    const int32_t n = pixel + 1 < pixels ? 2 : 1;
    for (int32_t i = 0; i < n; ++i) {
      const int8_t *source;
      if (direct) {
        source = in + (pixel + i) * patch;
      } else {
        micronet_gather_patch(p, in, y, x, gathered);
        source = gathered;
        if (++x == p->shape.out_w) {
          x = 0;
          ++y;
        }
      }
      micronet_widen(source, patch, p->shape.input_zero_point, 1, 8, wide + 4 * i);
    }
    int8_t *out0 = out + pixel * p->shape.out_c;
    int8_t *out1 = n == 2 ? out0 + p->shape.out_c : out0;
    const int8_t *w = p->weights;
    for (int o = 0; o < p->shape.out_c; o += 2) {
      const int second = o + 1 < p->shape.out_c;
      two_by_two(patch, wide, w, second ? patch : 0, &p->channels[o], &p->channels[o + second],
                 out0 + o, out1 + o, second);
      w += 2 * patch;
    }
  }
}

/* The weights of two outputs, as micronet_two_outputs has them. */
static MICRONET_NOINLINE void widen_weights(const int8_t *w, const int8_t *second, int32_t count,
                                            int16_t *out) {
  for (; count >= 4; count -= 4, w += 4, second += 4) {
    const uint32_t a = micronet_load4(w), b = micronet_load4(second);
    const micronet_four even = {micronet_sxtb16(a), micronet_sxtb16(b)};
    const micronet_four odd = {micronet_sxtb16_odd(a), micronet_sxtb16_odd(b)};
    micronet_store_four(&out, even);
    micronet_store_four(&out, odd);
  }
  if (count > 0) {
    const micronet_four a = micronet_part_of_four(w, count, 0);
    const micronet_four b = micronet_part_of_four(second, count, 0);
    const micronet_four even = {a.first, b.first}, odd = {a.second, b.second};
    micronet_store_four(&out, even);
    micronet_store_four(&out, odd);
  }
}

/* Where the next patch is taken from. */
typedef struct {
  int y, x;
} place;

MICRONET_INLINE void next_place(const micronet_conv_params *p, place *at) {
  if (++at->x == p->shape.out_w) {
    at->x = 0;
    ++at->y;
  }
}

/* Whether four patches lie inside of the image, in one row, and begin and end with whole fours. */
static int is_inside(const micronet_conv_params *p, const place *at) {
  const int top = at->y * p->shape.stride_h - p->shape.pad_top;
  const int left = at->x * p->shape.stride_w - p->shape.pad_left;
  return p->shape.kernel_w * p->shape.in_c % 4 == 0 && at->x + 4 <= p->shape.out_w && left >= 0 &&
         left + 3 * p->shape.stride_w + p->shape.kernel_w <= p->shape.in_w && top >= 0 &&
         top + p->shape.kernel_h <= p->shape.in_h;
}

/* Widens the patches of `count` pixels and moves on. `gathered` holds four of them as int8. */
static MICRONET_NOINLINE void widen_patches(const micronet_conv_params *p, const int8_t *in,
                                            place *at, int32_t count, int8_t *gathered,
                                            int16_t *wide) {
  const int32_t patch = p->shape.kernel_h * p->shape.kernel_w * p->shape.in_c;
  const int32_t row = MICRONET_ROUND_UP_4(patch), zero_point = p->shape.input_zero_point;
  const int32_t run = p->shape.kernel_w * p->shape.in_c, step = p->shape.stride_w * p->shape.in_c;
  const int32_t pitch = p->shape.in_w * p->shape.in_c;
  for (; count >= 4; count -= 4) {
    if (is_inside(p, at)) {
      const int8_t *from = in + (at->y * p->shape.stride_h - p->shape.pad_top) * pitch +
                           (at->x * p->shape.stride_w - p->shape.pad_left) * p->shape.in_c;
      for (int ky = 0; ky < p->shape.kernel_h; ++ky, from += pitch)
        wide = micronet_widen_block(from, step, run, zero_point, 1, wide);
      at->x += 3;
      next_place(p, at);
    } else {
      for (int i = 0; i < 4; ++i) {
        micronet_gather_patch(p, in, at->y, at->x, gathered + i * row);
        next_place(p, at);
      }
      wide = micronet_widen_block(gathered, row, patch, zero_point, 1, wide);
    }
  }
  for (; count > 0; --count, wide += row) {
    micronet_gather_patch(p, in, at->y, at->x, gathered);
    micronet_widen(gathered, patch, zero_point, 1, 4, wide);
    next_place(p, at);
  }
}

/* The same where a pixel is its own patch. */
static MICRONET_NOINLINE void widen_pixels(const int8_t *in, int32_t inputs, int32_t zero_point,
                                           int32_t count, int16_t *wide) {
  for (; count >= 4; count -= 4, in += 4 * inputs)
    wide = micronet_widen_block(in, inputs, inputs, zero_point, 1, wide);
  for (; count > 0; --count, in += inputs, wide += MICRONET_ROUND_UP_4(inputs))
    micronet_widen(in, inputs, zero_point, 1, 4, wide);
}

static void blocks_of_pixels(const micronet_conv_params *p, int32_t most_blocks, const int8_t *in,
                             int8_t *out, void *scratch) {
  const int32_t patch = p->shape.kernel_h * p->shape.kernel_w * p->shape.in_c;
  const int32_t row = MICRONET_ROUND_UP_4(patch), out_c = p->shape.out_c;
  const int32_t pixels = (int32_t)p->shape.out_h * p->shape.out_w;
  const int32_t turn = micronet_pixels_a_turn(pixels, most_blocks);
  int16_t *const weights = (int16_t *)scratch; /* before them, four patches in their place */
  int16_t *const wide = weights + 2 * row;
  place at = {0, 0};
  for (int32_t first = 0; first < pixels; first += turn) {
    const int32_t count = pixels - first < turn ? pixels - first : turn, blocks = count >> 2;
    if (micronet_is_direct(p)) {
      widen_pixels(in + first * patch, patch, p->shape.input_zero_point, count, wide);
    } else {
      widen_patches(p, in, &at, count, (int8_t *)scratch, wide);
    }
    for (int32_t o = 0; o < out_c; o += 2) {
      const int32_t second = o + 1 < out_c;
      const int8_t *w = p->weights + o * patch;
      int8_t *to = out + first * out_c + o;
      const micronet_two_outputs two = {weights, wide, &p->channels[o], &p->channels[o + second],
                                        second,  out_c};
      widen_weights(w, second ? w + patch : w, patch, weights);
      if (blocks > 0) micronet_four_pixels(wide, blocks, to, &two);
      if (count & 3)
        micronet_single_pixels(wide + 4 * blocks * row, count & 3, to + 4 * blocks * out_c, &two);
    }
  }
}

micronet_status micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                void *scratch, size_t scratch_bytes) {
  const int32_t patch = p->shape.kernel_h * p->shape.kernel_w * p->shape.in_c;
  const int32_t pixels = (int32_t)p->shape.out_h * p->shape.out_w;
  const int32_t most_blocks = micronet_blocks_in(scratch_bytes, MICRONET_ROUND_UP_4(patch));
  if (pixels < 4 || most_blocks == 0) {
    pairs_of_pixels(p, in, out, scratch);
  } else {
    blocks_of_pixels(p, most_blocks, in, out, scratch);
  }
  micronet_apply_clamp(pixels * p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max, out);
  return MICRONET_OK;
}

#endif
