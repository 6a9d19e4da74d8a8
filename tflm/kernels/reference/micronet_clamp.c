/* Bounds of the values. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

void micronet_clamp(int32_t count, int lowest, int highest, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < count; ++i) out[i] = (int8_t)micronet_clamp_value(in[i], lowest, highest);
}

#endif
