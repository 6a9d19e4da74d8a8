/* CONV_2D with any kernel, one group, for Helium. */
#include "micronet_conv2d.h"
#include "micronet_helium.h"

#if MICRONET_HELIUM

/* Some pixels, which lie behind one another, and up to four outputs. */
typedef struct {
  int32_t inputs, pixels, out_step;
  int32_t zero_point;
} pixel_run;

/* Four outputs of all pixels, or the `count` last ones, sixteen MACs an instruction. The zero point
 * goes into the bias: sum w * (x - z) = sum w * x - z * sum w. Where there are fewer than four, the
 * last one's weights are read again. */
MICRONET_INLINE void outputs_of_pixels(const int whole, const pixel_run *run, const int8_t *x,
                                       const int8_t *w0, int32_t count,
                                       const micronet_channel *records, int8_t *out) {
  const int32_t inputs = run->inputs, out_step = run->out_step;
  const int8_t *w1 = count > 1 ? w0 + inputs : w0;
  const int8_t *w2 = count > 2 ? w1 + inputs : w1, *w3 = count > 3 ? w2 + inputs : w2;
  const mve_pred16_t rest = vctp8q((uint32_t)(inputs & 15)), lanes = vctp32q((uint32_t)count);
  int32_t sums[4] = {0, 0, 0, 0};
  for (int32_t i = 0; i < inputs; i += 16) {
    const mve_pred16_t bytes = vctp8q((uint32_t)(inputs - i));
    sums[0] = vaddvaq_s8(sums[0], vldrbq_z_s8(w0 + i, bytes));
    sums[1] = vaddvaq_s8(sums[1], vldrbq_z_s8(w1 + i, bytes));
    sums[2] = vaddvaq_s8(sums[2], vldrbq_z_s8(w2 + i, bytes));
    sums[3] = vaddvaq_s8(sums[3], vldrbq_z_s8(w3 + i, bytes));
  }
  micronet_records r = micronet_load_records(records, count);
  const int32x4_t bias =
      vsubq_s32(r.doubled_bias, vmulq_n_s32(vldrwq_s32(sums), 2 * run->zero_point));
  for (int32_t n = run->pixels; n > 0; --n, out += out_step) {
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    const int8_t *a = w0, *b = w1, *c = w2, *d = w3;
    for (int32_t i = inputs >> 4; i > 0; --i, x += 16, a += 16, b += 16, c += 16, d += 16) {
      const int8x16_t v = vldrbq_s8(x);
      sum0 = vmladavaq_s8(sum0, v, vldrbq_s8(a));
      sum1 = vmladavaq_s8(sum1, v, vldrbq_s8(b));
      sum2 = vmladavaq_s8(sum2, v, vldrbq_s8(c));
      sum3 = vmladavaq_s8(sum3, v, vldrbq_s8(d));
    }
    if (!whole) {
      const int8x16_t v = vldrbq_z_s8(x, rest);
      sum0 = vmladavaq_s8(sum0, v, vldrbq_z_s8(a, rest));
      sum1 = vmladavaq_s8(sum1, v, vldrbq_z_s8(b, rest));
      sum2 = vmladavaq_s8(sum2, v, vldrbq_z_s8(c, rest));
      sum3 = vmladavaq_s8(sum3, v, vldrbq_z_s8(d, rest));
      x += inputs & 15;
    }
    int32x4_t acc = vdupq_n_s32(sum0);
    acc = vsetq_lane_s32(sum1, acc, 1);
    acc = vsetq_lane_s32(sum2, acc, 2);
    acc = vsetq_lane_s32(sum3, acc, 3);
    acc = vaddq_s32(vaddq_s32(acc, acc), bias);
    vstrbq_p_s32(out, micronet_requantize4(acc, r.multiplier, r.offset, r.minus_shift), lanes);
  }
}

static MICRONET_NOINLINE void outputs_of_sixteens(const pixel_run *run, const int8_t *x,
                                                  const int8_t *w, int32_t count,
                                                  const micronet_channel *records, int8_t *out) {
  outputs_of_pixels(1, run, x, w, count, records, out);
}
static MICRONET_NOINLINE void outputs_of_any(const pixel_run *run, const int8_t *x, const int8_t *w,
                                             int32_t count, const micronet_channel *records,
                                             int8_t *out) {
  outputs_of_pixels(0, run, x, w, count, records, out);
}

/* As many pixels at a time as the scratch memory holds patches; a pixel that is its own patch needs
 * none. */
micronet_status micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                void *scratch, size_t scratch_bytes) {
  const int32_t patch = p->shape.kernel_h * p->shape.kernel_w * p->shape.in_c;
  const int32_t out_c = p->shape.out_c, pixels = (int32_t)p->shape.out_h * p->shape.out_w;
  const int direct = micronet_is_direct(p);
  const int32_t most = direct ? pixels : (int32_t)scratch_bytes / patch;
  int y = 0, x = 0;
  for (int32_t first = 0; first < pixels; first += most) {
    const pixel_run run = {patch, pixels - first < most ? pixels - first : most, out_c,
                           p->shape.input_zero_point};
    const int8_t *from = in;
    if (!direct) {
      int8_t *to = (int8_t *)scratch;
      from = to;
      for (int32_t n = run.pixels; n > 0; --n, to += patch) {
        micronet_gather_patch(p, in, y, x, to);
        if (++x == p->shape.out_w) {
          x = 0;
          ++y;
        }
      }
    }
    for (int32_t o = 0; o < out_c; o += 4) {
      const int32_t count = out_c - o < 4 ? out_c - o : 4;
      (patch & 15 ? outputs_of_any : outputs_of_sixteens)(&run, from, p->weights + o * patch, count,
                                                          p->channels + o, out + first * out_c + o);
    }
  }
  micronet_apply_clamp(pixels * out_c, p->shape.clamp_min, p->shape.clamp_max, out);
  return MICRONET_OK;
}

#endif
