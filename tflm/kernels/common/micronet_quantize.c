/* QUANTIZE and DEQUANTIZE of float. Where both buffers overlap, the order of the elements counts. */
#include "micronet_arithmetic.h"

void micronet_quantize(int32_t count, float scale, int32_t zero_point, const float *in,
                       int8_t *out) {
  for (int32_t i = 0; i < count; ++i) {
    const float steps = in[i] / scale;
    int32_t q = 0;
    /* Beyond 256 steps int8 saturates whatever the zero point; C would not define the conversion
     * of more than an int32_t. No comparison holds for what is no number. */
    if (steps >= 256.0f) {
      q = 256;
    } else if (steps <= -256.0f) {
      q = -256;
    } else if (steps > -256.0f) {
      q = (int32_t)steps;
      const float rest = steps - (float)q;
      q += rest >= 0.5f ? 1 : rest <= -0.5f ? -1 : 0;
    }
    out[i] = (int8_t)micronet_ssat8(q + zero_point);
  }
}

void micronet_dequantize(int32_t count, float scale, int32_t zero_point, const int8_t *in,
                         float *out) {
  for (int32_t i = 0; i < count; ++i) out[i] = scale * (float)(in[i] - zero_point);
}
