/* AVERAGE_POOL_2D over the whole map. */
#include "micronet_arithmetic.h"

#if MICRONET_REFERENCE

/* out[c] = mean over all pixels of in[pixel][c] */
void micronet_global_average_pool(int32_t pixels, int32_t channels, const int8_t *in, int8_t *out) {
  for (int32_t c = 0; c < channels; ++c) {
    int32_t sum = 0;
    for (int32_t i = 0; i < pixels; ++i) sum += in[(ptrdiff_t)i * channels + c];
    out[c] = (int8_t)micronet_rounded_mean(sum, pixels);
  }
}

#endif
