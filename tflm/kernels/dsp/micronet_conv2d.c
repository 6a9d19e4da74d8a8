/* CONV_2D with any kernel, one group, for Armv7E-M. */
#include "micronet_conv2d.h"
#include "micronet_dsp.h"

#if MICRONET_DSP

/* Two output channels of two pixels. `wide`: both pixels' patches, widened and doubled, a four of
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

void micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
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
  micronet_apply_clamp(pixels * p->shape.out_c, p->shape.clamp_min, p->shape.clamp_max, out);
}

#endif
