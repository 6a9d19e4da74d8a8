/* CONV_2D 1x1 with groups, the micro-factorized pointwise convolution, for Armv7E-M: as many pixels
 * of a group at a time as the scratch memory holds, and two outputs at a time. */
#include "micronet_four_pixels.h"

#if MICRONET_DSP

/* Two rows of weights, as micronet_two_outputs has them. */
static MICRONET_NOINLINE void interleave(const int16_t *w, const int16_t *second, int16_t *out,
                                         const int16_t *end) {
  do {
    const micronet_four a = micronet_next_four(&w), b = micronet_next_four(&second);
    const micronet_four even = {a.first, b.first}, odd = {a.second, b.second};
    micronet_store_four(&out, even);
    micronet_store_four(&out, odd);
  } while (out != end);
}

/* The inputs of a group of `count` pixels. */
static MICRONET_NOINLINE void widen_group(const micronet_conv2d_grouped_1x1_params *p,
                                          const int8_t *in, int32_t inputs, int32_t count,
                                          int16_t *wide) {
  const int32_t in_c = p->shape.in_c, zero_point = p->shape.input_zero_point;
  for (; count >= 4; count -= 4, in += 4 * in_c)
    wide = micronet_widen_block(in, in_c, inputs, zero_point, 0, wide);
  for (; count > 0; --count, in += in_c, wide += MICRONET_ROUND_UP_4(inputs))
    micronet_widen(in, inputs, zero_point, 0, 4, wide);
}

void micronet_conv2d_grouped_1x1(const micronet_conv2d_grouped_1x1_params *p, const int8_t *in,
                                 int8_t *out, void *scratch, size_t scratch_bytes) {
  const int32_t in_c = p->shape.in_c, out_c = p->shape.out_c, pixels = p->shape.pixels;
  const int32_t inputs = in_c / p->shape.groups, outputs = out_c / p->shape.groups;
  const int32_t row = MICRONET_ROUND_UP_4(inputs);
  const int32_t room = micronet_blocks_in(scratch_bytes, row);
  const int32_t turn = micronet_pixels_a_turn(pixels, room > 1 ? room : 1);
  int16_t *const weights = (int16_t *)scratch, *const wide = weights + 2 * row;
  for (int32_t first = 0; first < pixels; first += turn) {
    const int32_t count = pixels - first < turn ? pixels - first : turn, blocks = count >> 2;
    const int16_t *w = p->doubled_weights;
    const micronet_channel *record = p->channels;
    int8_t *to = out + first * out_c;
    for (int32_t group = 0; group < in_c; group += inputs) {
      widen_group(p, in + first * in_c + group, inputs, count, wide);
      for (int32_t left = outputs; left > 0;) {
        const int32_t second = left > 1;
        const micronet_two_outputs two = {weights, wide, record, record + second, second, out_c};
        interleave(w, w + second * row, weights, wide);
        if (blocks > 0) micronet_four_pixels(wide, blocks, to, &two);
        if (count & 3)
          micronet_single_pixels(wide + 4 * blocks * row, count & 3, to + 4 * blocks * out_c, &two);
        left -= 1 + second;
        to += 1 + second;
        w += (1 + second) * row;
        record += 1 + second;
      }
    }
  }
  micronet_apply_clamp(pixels * out_c, p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
