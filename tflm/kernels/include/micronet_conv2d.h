/* What the forms of CONV_2D share. */
#ifndef MICRONET_CONV2D_H_
#define MICRONET_CONV2D_H_

#include <string.h>

#include "micronet_arithmetic.h"

/* memcpy for short runs, where a library's call costs more than the copying. */
MICRONET_INLINE void micronet_copy(int8_t *to, const int8_t *from, int32_t count) {
  for (; count >= 4; count -= 4, to += 4, from += 4) {
    MICRONET_COPY(to, from, 4);
  }
  while (count-- > 0) *to++ = *from++;
}

/* The patch of one output pixel as int8, in the order of the weights. */
MICRONET_INLINE void micronet_gather_patch(const micronet_conv_params *p, const int8_t *in, int y,
                                           int x, int8_t *patch) {
  const int32_t run = p->shape.kernel_w * p->shape.in_c; /* one row of the kernel */
  const int left = x * p->shape.stride_w - p->shape.pad_left;
  const int first = left < 0 ? -left : 0;
  const int end =
      left + p->shape.kernel_w > p->shape.in_w ? p->shape.in_w - left : p->shape.kernel_w;
  int in_y = y * p->shape.stride_h - p->shape.pad_top;
  for (int ky = 0; ky < p->shape.kernel_h; ++ky, ++in_y, patch += run) {
    const int inside = in_y >= 0 && in_y < p->shape.in_h && end > first;
    if (!inside || end - first < p->shape.kernel_w)
      memset(patch, p->shape.input_zero_point, (size_t)run);
    if (inside) {
      micronet_copy(patch + first * p->shape.in_c,
                    in + ((size_t)in_y * (size_t)p->shape.in_w + (size_t)left + (size_t)first) *
                             (size_t)p->shape.in_c,
                    (end - first) * p->shape.in_c);
    }
  }
}

/* 1x1 on every pixel: a pixel is its own patch. */
MICRONET_INLINE int micronet_is_direct(const micronet_conv_params *p) {
  return p->shape.kernel_h == 1 && p->shape.kernel_w == 1 && p->shape.stride_h == 1 &&
         p->shape.stride_w == 1 && p->shape.pad_top == 0 && p->shape.pad_left == 0;
}

/* What micronet_conv2d_column_rgb takes. */
MICRONET_INLINE int micronet_is_column_rgb(const micronet_conv_params *p) {
  return p->shape.in_c == 3 && p->shape.kernel_w == 1 && p->shape.stride_w == 1 &&
         p->shape.pad_left == 0 && p->shape.out_w == p->shape.in_w &&
         p->shape.kernel_h <= MICRONET_MOST_COLUMN_ROWS;
}

#endif /* MICRONET_CONV2D_H_ */
