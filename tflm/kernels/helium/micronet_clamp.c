/* Bounds of the values, for Helium. */
#include "micronet_helium.h"

#if MICRONET_HELIUM

void micronet_clamp(int32_t count, int lowest, int highest, const int8_t *in, int8_t *out) {
  const int8x16_t low = vdupq_n_s8((int8_t)lowest), high = vdupq_n_s8((int8_t)highest);
  for (; count > 0; count -= 16, in += 16, out += 16) {
    const mve_pred16_t lanes = vctp8q((uint32_t)count);
    vstrbq_p_s8(out, vminq_s8(vmaxq_s8(vldrbq_z_s8(in, lanes), low), high), lanes);
  }
}

#endif
