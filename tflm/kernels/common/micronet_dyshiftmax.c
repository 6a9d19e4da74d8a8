/* Dynamic Shift-Max: into another tensor, or in place. */
#include "micronet_dyshiftmax.h"

#include <string.h>

micronet_status micronet_dyshiftmax(const micronet_dyshiftmax_params *p, const int8_t *in,
                                    const int8_t *const coefficients[4], int8_t *out, void *scratch,
                                    size_t scratch_bytes) {
  if (in != out) {
    micronet_dyshiftmax_apply(p, p->shape.pixels, in, coefficients, out);
    return MICRONET_OK;
  }
  /* In place: as many pixels at a time as the scratch holds are moved away first. */
  const int32_t most = (int32_t)(scratch_bytes / (uint16_t)p->shape.channels);
  if (most == 0) return MICRONET_REFUSED;
  for (int32_t pixel = 0; pixel < p->shape.pixels;) {
    const int32_t n = p->shape.pixels - pixel < most ? p->shape.pixels - pixel : most;
    int8_t *block = out + pixel * p->shape.channels;
    memcpy(scratch, block, (size_t)(n * p->shape.channels));
    micronet_dyshiftmax_apply(p, n, (const int8_t *)scratch, coefficients, block);
    pixel += n;
  }
  return MICRONET_OK;
}
