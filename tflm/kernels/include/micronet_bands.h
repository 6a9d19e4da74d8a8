/* A convolution some rows of the output at a time. */
#ifndef MICRONET_BANDS_H_
#define MICRONET_BANDS_H_

#include "micronet_arithmetic.h"

/* Rows `first` to `first` + `rows` - 1 of the output, or to the last one: a convolution of its own,
 * of input row `start` and those below it. */
typedef struct {
  micronet_conv_params params;
  int32_t start;
} micronet_band;

MICRONET_INLINE micronet_band micronet_band_of(const micronet_conv_params *p, int32_t first,
                                               int32_t rows) {
  const micronet_conv_shape *const s = &p->shape;
  const int32_t count = s->out_h - first < rows ? s->out_h - first : rows;
  const int32_t top = first * s->stride_h - s->pad_top;
  const int32_t end = top + (count - 1) * s->stride_h + s->kernel_h;
  micronet_band band = {*p, top < 0 ? 0 : top};
  band.params.shape.out_h = (int16_t)count;
  band.params.shape.pad_top = (int16_t)(band.start - top);
  band.params.shape.in_h = (int16_t)((end < s->in_h ? end : s->in_h) - band.start);
  return band;
}

#endif /* MICRONET_BANDS_H_ */
