/* Tables and clamping. */
#include "micronet_arithmetic.h"

void micronet_lookup(const int8_t table[256], int32_t count, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < count; ++i) out[i] = table[in[i] + 128];
}

void micronet_clamp(int32_t count, int lowest, int highest, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < count; ++i) out[i] = (int8_t)micronet_clamp_value(in[i], lowest, highest);
}
