/* CONV_2D with any kernel, one group, for Helium. */
#include "micronet_conv2d.h"
#include "micronet_helium.h"

#if MICRONET_HELIUM

/* Pixel by pixel, four output channels at a time. */
void micronet_conv2d(const micronet_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t patch = p->shape.kernel_h * p->shape.kernel_w * p->shape.in_c;
  const int direct = micronet_is_direct(p);
  int8_t *const start = out;
  for (int y = 0; y < p->shape.out_h; ++y) {
    for (int x = 0; x < p->shape.out_w; ++x, out += p->shape.out_c) {
      const int8_t *v = in;
      if (direct) {
        in += patch;
      } else {
        micronet_gather_patch(p, in, y, x, (int8_t *)scratch);
        v = (const int8_t *)scratch;
      }
      for (int32_t o = 0; o < p->shape.out_c; o += 4) {
        const int32_t left = p->shape.out_c - o;
        const micronet_records r = micronet_load_records(p->channels + o, left);
        int32x4_t doubled_acc = micronet_four_rows(v, p->weights + (size_t)o * (size_t)patch, patch,
                                                   left, p->shape.input_zero_point);
        doubled_acc = vaddq_s32(doubled_acc, r.doubled_bias);
        micronet_store4(out + o,
                        micronet_requantize4(doubled_acc, r.multiplier, r.offset, r.minus_shift),
                        left);
      }
    }
  }
  micronet_apply_clamp((int32_t)(out - start), p->shape.clamp_min, p->shape.clamp_max, start);
}

#endif
