/* DEPTHWISE_CONV_2D, for Helium. */
#include "micronet_depthwise.h"

#if MICRONET_HELIUM

micronet_status micronet_depthwise(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                   void *scratch, size_t scratch_bytes) {
  if (micronet_depthwise_3x3(p, in, out, scratch, scratch_bytes) != MICRONET_OK)
    return micronet_depthwise_1d(p, in, out, NULL, 0);
  micronet_apply_clamp((int32_t)p->shape.out_h * p->shape.out_w * p->shape.out_c,
                       p->shape.clamp_min, p->shape.clamp_max, out);
  return MICRONET_OK;
}

#endif
