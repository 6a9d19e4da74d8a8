/* A convolution some rows of the output at a time. */
#include "micronet_bands.h"

micronet_status micronet_in_bands(const micronet_conv_params *p, micronet_conv_kernel kernel,
                                  int32_t rows, const int8_t *in, int8_t *out, void *scratch,
                                  size_t scratch_bytes) {
  const int32_t in_pitch = (int32_t)p->shape.in_w * p->shape.in_c;
  const int32_t out_pitch = (int32_t)p->shape.out_w * p->shape.out_c;
  for (int32_t y = 0; y < p->shape.out_h; y += rows) {
    const micronet_band band = micronet_band_of(p, y, rows);
    const micronet_status status = kernel(&band.params, in + band.start * in_pitch,
                                          out + y * out_pitch, scratch, scratch_bytes);
    if (status != MICRONET_OK) return status;
  }
  return MICRONET_OK;
}
