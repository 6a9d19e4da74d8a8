/* Any function of one int8. */
#include "micronet_kernels.h"

void micronet_lookup(const int8_t table[256], int32_t count, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < count; ++i) out[i] = table[in[i] + 128];
}
