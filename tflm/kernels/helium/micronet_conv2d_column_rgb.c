/* The first layer: CONV_2D kx1 from three channels, for Helium. */
#include "micronet_conv2d.h"
#include "micronet_helium.h"

#if MICRONET_HELIUM

/* Four pixels of a row at once. The input's zero point goes into the bias, of the rows that are
 * inside of the image. */
micronet_status micronet_conv2d_column_rgb(const micronet_conv_params *p, const int8_t *in,
                                           int8_t *out) {
  if (!micronet_is_column_rgb(p)) return MICRONET_REFUSED;
  const int32_t in_pitch = 3 * p->shape.in_w;
  const uint32x4_t pixels = vidupq_n_u32(0, 1);
  const uint32x4_t in_at = vmulq_n_u32(pixels, 3),
                   out_at = vmulq_n_u32(pixels, (uint32_t)p->shape.out_c);
  for (int y = 0; y < p->shape.out_h; ++y, out += p->shape.out_w * p->shape.out_c) {
    const int start = y * p->shape.stride_h - p->shape.pad_top;
    const int first = start < 0 ? -start : 0;
    const int end =
        start + p->shape.kernel_h > p->shape.in_h ? p->shape.in_h - start : p->shape.kernel_h;
    for (int o = 0; o < p->shape.out_c; ++o) {
      const micronet_channel *record = &p->channels[o];
      const int32x4_t multiplier = vdupq_n_s32(record->multiplier),
                      offset = vdupq_n_s32(record->offset);
      const int32x4_t minus_shift = vdupq_n_s32(-record->shift);
      const int8_t *const weights = p->weights + 3 * (o * p->shape.kernel_h + first);
      int32_t w2[3 * MICRONET_MOST_COLUMN_ROWS], doubled_bias = record->doubled_bias;
      for (int i = 0; i < 3 * (end - first); ++i) {
        w2[i] = 2 * weights[i];
        doubled_bias -= p->shape.input_zero_point * w2[i];
      }
      const int8_t *x = in + (start + first) * in_pitch;
      int8_t *to = out + o;
      const int32_t rows = end - first, out_move = 4 * p->shape.out_c;
      int32_t left = p->shape.out_w;
#define COLUMN_ROW(load, v, w)                   \
  acc = vmlaq_n_s32(acc, load(v), (w)[0]);       \
  acc = vmlaq_n_s32(acc, load((v) + 1), (w)[1]); \
  acc = vmlaq_n_s32(acc, load((v) + 2), (w)[2])
#define COLUMN_SUM(load)                              \
  int32x4_t acc = vdupq_n_s32(doubled_bias);          \
  if (rows == 3) {                                    \
    COLUMN_ROW(load, x, w2);                          \
    COLUMN_ROW(load, x + in_pitch, w2 + 3);           \
    COLUMN_ROW(load, x + 2 * in_pitch, w2 + 6);       \
  } else {                                            \
    for (int32_t r = 0; r < rows; ++r) {              \
      COLUMN_ROW(load, x + r * in_pitch, w2 + 3 * r); \
    }                                                 \
  }
#define LOAD_ALL(from) vldrbq_gather_offset_s32(from, in_at)
#define LOAD_LANES(from) vldrbq_gather_offset_z_s32(from, in_at, lanes)
      for (; left >= 4; left -= 4, x += 12, to += out_move) {
        COLUMN_SUM(LOAD_ALL);
        vstrbq_scatter_offset_s32(to, out_at,
                                  micronet_requantize4(acc, multiplier, offset, minus_shift));
      }
      if (left > 0) {
        const mve_pred16_t lanes = vctp32q((uint32_t)left);
        COLUMN_SUM(LOAD_LANES);
        vstrbq_scatter_offset_p_s32(
            to, out_at, micronet_requantize4(acc, multiplier, offset, minus_shift), lanes);
      }
    }
    micronet_apply_clamp((int32_t)p->shape.out_w * p->shape.out_c, p->shape.clamp_min,
                         p->shape.clamp_max, out);
  }
  return MICRONET_OK;
}

#undef COLUMN_ROW
#undef COLUMN_SUM
#undef LOAD_ALL
#undef LOAD_LANES

#endif
