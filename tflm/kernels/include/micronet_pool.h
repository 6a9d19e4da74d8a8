/* What the forms of the pools over windows share. */
#ifndef MICRONET_POOL_H_
#define MICRONET_POOL_H_

#include "micronet_arithmetic.h"

/* The taps of an output inside of the image. */
typedef struct {
  int32_t offset; /* of the first one */
  int32_t rows, columns;
  int32_t pitch, step; /* bytes from row to row, from column to column */
} micronet_window;

MICRONET_INLINE micronet_window micronet_pool_window(const micronet_pool_params *p, int y, int x) {
  const int top = y * p->stride_h - p->pad_top, left = x * p->stride_w - p->pad_left;
  const int y0 = top > 0 ? top : 0, x0 = left > 0 ? left : 0;
  const int y1 = top + p->kernel_h < p->in_h ? top + p->kernel_h : p->in_h;
  const int x1 = left + p->kernel_w < p->in_w ? left + p->kernel_w : p->in_w;
  const micronet_window w = {(y0 * p->in_w + x0) * p->channels, y1 - y0, x1 - x0,
                             p->in_w * p->channels, p->channels};
  return w;
}

#endif /* MICRONET_POOL_H_ */
