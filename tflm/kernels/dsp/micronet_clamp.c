/* Bounds of the values, for Armv7E-M: four at once. */
#include "micronet_dsp.h"

#if MICRONET_DSP

void micronet_clamp(int32_t count, int lowest, int highest, const int8_t *in, int8_t *out) {
  const uint32_t low = micronet_four_times(lowest), high = micronet_four_times(highest);
  const int8_t *const end = in + (count & ~3);
  while (in != end) {
    micronet_put4(out, micronet_min4(micronet_max4(micronet_load4(in), low), high));
    in += 4;
    out += 4;
  }
  for (int32_t i = 0; i < (count & 3); ++i)
    out[i] = (int8_t)micronet_clamp_value(in[i], lowest, highest);
}

#endif
