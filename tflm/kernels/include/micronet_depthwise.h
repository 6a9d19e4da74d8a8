/* What the forms of DEPTHWISE_CONV_2D share. */
#ifndef MICRONET_DEPTHWISE_H_
#define MICRONET_DEPTHWISE_H_

#include "micronet_arithmetic.h"

/* One axis of the map: how many places, and how far apart in memory. */
typedef struct {
  int32_t in, out, stride, pad;
  int32_t in_pitch, out_pitch;
} micronet_axis;

/* The input channel of an output channel. */
MICRONET_INLINE int32_t micronet_source(const micronet_conv_params *p, int32_t o) {
  return p->source ? p->source[o] : o / (p->shape.out_c / p->shape.in_c);
}

/* kx1 and 1xk kernels, for Armv7E-M. Refuses others, and those that it cannot do. */
micronet_status micronet_depthwise_along_an_axis(const micronet_conv_params *p, const int8_t *in,
                                                 int8_t *out);
/* 3x3 kernels of horizontal stride 1 or 2, for Armv7E-M; does not clamp. Refuses others, and where
 * there is no room for a row of outputs. */
micronet_status micronet_depthwise_3x3(const micronet_conv_params *p, const int8_t *in, int8_t *out,
                                       void *scratch, size_t scratch_bytes);
/* A kernel of `taps` taps along one axis, for Armv7E-M. Refuses where it has too many or steps too
 * far. */
micronet_status micronet_depthwise_lines(const micronet_conv_params *p, int taps,
                                         const micronet_axis *along, const micronet_axis *across,
                                         const int8_t *in, int8_t *out);

#endif /* MICRONET_DEPTHWISE_H_ */
