/* CONV_2D with any kernel, one group. */
#include "micronet_helium.h"

#if MICRONET_USE_REFERENCE

/* out[y][x][o] = requantized(doubled_bias[o] + sum over taps inside of the image and inputs i of
 *                            2 * w[o][ky][kx][i] * (in[y'][x'][i] - zero point))
 * with y' = y * stride - pad + ky, x' = x * stride - pad + kx */
void micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  int8_t *o_ptr = out;
  (void)scratch;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x) {
      const int8_t *w = p->weights;
      for (int o = 0; o < p->out_c; ++o) {
        const micronet_channel *record = &p->channels[o];
        int32_t acc = record->doubled_bias;
        for (int ky = 0; ky < p->kernel_h; ++ky) {
          const int in_y = y * p->stride_h - p->pad_top + ky;
          for (int kx = 0; kx < p->kernel_w; ++kx, w += p->in_c) {
            const int in_x = x * p->stride_w - p->pad_left + kx;
            if (in_y < 0 || in_y >= p->in_h || in_x < 0 || in_x >= p->in_w) continue;
            const int8_t *v = in + ((size_t)in_y * p->in_w + in_x) * p->in_c;
            for (int i = 0; i < p->in_c; ++i) acc += 2 * w[i] * (v[i] - p->input_zero_point);
          }
        }
        *o_ptr++ = micronet_requantize(acc, record->multiplier, record->offset, record->shift);
      }
    }
  }
  micronet_apply_clamp((int32_t)(o_ptr - out), p->clamp_min, p->clamp_max, out);
}

#else

/* The patch of one output pixel as int8, in the order of the weights. */
static void gather_patch(const micronet_conv_params *p, const int8_t *in, int y, int x,
                         int8_t *patch) {
  const int32_t run = p->kernel_w * p->in_c; /* one row of the kernel */
  const int left = x * p->stride_w - p->pad_left;
  const int first = left < 0 ? -left : 0;
  const int end = left + p->kernel_w > p->in_w ? p->in_w - left : p->kernel_w;
  int in_y = y * p->stride_h - p->pad_top;
  for (int ky = 0; ky < p->kernel_h; ++ky, ++in_y, patch += run) {
    const int inside = in_y >= 0 && in_y < p->in_h && end > first;
    if (!inside || end - first < p->kernel_w) memset(patch, p->input_zero_point, (size_t)run);
    if (inside) {
      micronet_copy(patch + first * p->in_c, in + ((size_t)in_y * p->in_w + left + first) * p->in_c,
                    (end - first) * p->in_c);
    }
  }
}

MICRONET_INLINE int is_direct(const micronet_conv_params *p) {
  return p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 && p->stride_w == 1 &&
         p->pad_top == 0 && p->pad_left == 0;
}

#if MICRONET_USE_HELIUM

/* Pixel by pixel, four output channels at a time. */
void micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t patch = p->kernel_h * p->kernel_w * p->in_c;
  const int direct = is_direct(p);
  int8_t *const start = out;
  for (int y = 0; y < p->out_h; ++y) {
    for (int x = 0; x < p->out_w; ++x, out += p->out_c) {
      const int8_t *v = in;
      if (direct) {
        in += patch;
      } else {
        gather_patch(p, in, y, x, (int8_t *)scratch);
        v = (const int8_t *)scratch;
      }
      for (int32_t o = 0; o < p->out_c; o += 4) {
        const int32_t left = p->out_c - o;
        const micronet_records r = micronet_load_records(p->channels + o, left);
        int32x4_t doubled_acc =
            micronet_four_rows(v, p->weights + (size_t)o * patch, patch, left, p->input_zero_point);
        doubled_acc = vaddq_s32(doubled_acc, r.doubled_bias);
        micronet_store4(out + o,
                        micronet_requantize4(doubled_acc, r.multiplier, r.offset, r.minus_shift),
                        left);
      }
    }
  }
  micronet_apply_clamp((int32_t)(out - start), p->clamp_min, p->clamp_max, start);
}

#else

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
  const int32_t patch = p->kernel_h * p->kernel_w * p->in_c;
  const int32_t pixels = (int32_t)p->out_h * p->out_w;
  const int direct = is_direct(p);
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
        gather_patch(p, in, y, x, gathered);
        source = gathered;
        if (++x == p->out_w) {
          x = 0;
          ++y;
        }
      }
      micronet_widen(source, patch, p->input_zero_point, 1, 8, wide + 4 * i);
    }
    int8_t *out0 = out + pixel * p->out_c;
    int8_t *out1 = n == 2 ? out0 + p->out_c : out0;
    const int8_t *w = p->weights;
    for (int o = 0; o < p->out_c; o += 2) {
      const int second = o + 1 < p->out_c;
      two_by_two(patch, wide, w, second ? patch : 0, &p->channels[o], &p->channels[o + second],
                 out0 + o, out1 + o, second);
      w += 2 * patch;
    }
  }
  micronet_apply_clamp(pixels * p->out_c, p->clamp_min, p->clamp_max, out);
}

#endif
#endif
