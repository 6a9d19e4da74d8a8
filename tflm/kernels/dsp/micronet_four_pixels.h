/* Four pixels times two outputs, the core of the convolutions for Armv7E-M. */
#ifndef MICRONET_FOUR_PIXELS_H_
#define MICRONET_FOUR_PIXELS_H_

#include "micronet_dsp.h"

/* Inputs are widened to 16 bits in fours, padded by zeros to a multiple of 4; SXTB16 takes of a four
 * values 0 and 2, its even pair, and then 1 and 3, its odd pair.
 *   Four pixels, "a block":  of every four the even pairs of the pixels, then their odd pairs:
 *                            e0 e1 e2 e3 o0 o1 o2 o3, 32 bytes.
 *   One pixel:               of every four the even and the odd pair, 8 bytes.
 *   Weights of two outputs:  of every four e0 e1 o0 o1, 16 bytes.
 * Either the inputs or the weights are doubled. */

/* Two outputs of a convolution. */
typedef struct {
  const int16_t *weights, *weights_end;
  const micronet_channel *record0, *record1;
  int32_t second;   /* bytes from the one to the other; 0 where both are the same */
  int32_t out_step; /* bytes from pixel to pixel */
} micronet_two_outputs;

/* Two outputs of `blocks` > 0 times four pixels, which lie behind one another in `x`. */
void micronet_four_pixels(const int16_t *x, int32_t blocks, int8_t *out,
                          const micronet_two_outputs *p);
/* Two outputs of `count` pixels, which lie behind one another in `x`. */
void micronet_single_pixels(const int16_t *x, int32_t count, int8_t *out,
                            const micronet_two_outputs *p);

/* The number of blocks that these bytes hold beside two outputs' weights; 0 where there is no room.
 * `inputs` is a multiple of 4. */
MICRONET_INLINE int32_t micronet_blocks_in(size_t scratch_bytes, int32_t inputs) {
  const int32_t most = (int32_t)scratch_bytes / (4 * inputs);
  return most > 2 ? (most - 1) >> 1 : 0;
}

/* Pixels to take at a time, a multiple of 4: as few turns as `most` blocks allow, all alike. */
MICRONET_INLINE int32_t micronet_pixels_a_turn(int32_t pixels, int32_t most) {
  const int32_t blocks = (pixels + 3) >> 2, turns = (blocks + most - 1) / most;
  return (blocks + turns - 1) / turns * 4;
}

MICRONET_INLINE micronet_four micronet_doubled_four(micronet_four v) {
  const micronet_four twice = {micronet_sadd16(v.first, v.first),
                               micronet_sadd16(v.second, v.second)};
  return twice;
}

/* A four with an end: 1 to 3 values less the zero point. */
MICRONET_INLINE micronet_four micronet_part_of_four(const int8_t *in, int32_t count,
                                                    int32_t zero_point) {
  const micronet_four v = {
      micronet_make_pair(in[0] - zero_point, count > 2 ? in[2] - zero_point : 0),
      micronet_make_pair(count > 1 ? in[1] - zero_point : 0, 0)};
  return v;
}

/* Widens the `count` inputs of four pixels, `step` bytes apart, less the zero point; times 2 where
 * `doubled`. Returns the end. */
MICRONET_INLINE int16_t *micronet_widen_block(const int8_t *in, int32_t step, int32_t count,
                                              int32_t zero_point, const int doubled, int16_t *out) {
  const micronet_pair minus = micronet_make_pair(-zero_point, -zero_point);
  const int8_t *last = in + 3 * step;
  for (; count >= 4; count -= 4, in += 4, last += 4) {
    const uint32_t a = micronet_load4(in), b = micronet_load4(in + step);
    const uint32_t c = micronet_load4(in + 2 * step), d = micronet_load4(last);
    micronet_four even0 = {micronet_sxtab16(minus, a), micronet_sxtab16(minus, b)};
    micronet_four even2 = {micronet_sxtab16(minus, c), micronet_sxtab16(minus, d)};
    micronet_four odd0 = {micronet_sxtab16_odd(minus, a), micronet_sxtab16_odd(minus, b)};
    micronet_four odd2 = {micronet_sxtab16_odd(minus, c), micronet_sxtab16_odd(minus, d)};
    micronet_store_four(&out, doubled ? micronet_doubled_four(even0) : even0);
    micronet_store_four(&out, doubled ? micronet_doubled_four(even2) : even2);
    micronet_store_four(&out, doubled ? micronet_doubled_four(odd0) : odd0);
    micronet_store_four(&out, doubled ? micronet_doubled_four(odd2) : odd2);
  }
  if (count > 0) {
    for (int i = 0; i < 4; ++i, in += step, out += 2) {
      micronet_four v = micronet_part_of_four(in, count, zero_point);
      if (doubled) v = micronet_doubled_four(v);
      micronet_store_pair(out, v.first);
      micronet_store_pair(out + 8, v.second);
    }
    out += 8;
  }
  return out;
}

#endif /* MICRONET_FOUR_PIXELS_H_ */
