/* Bilinear resizing. */
#include "micronet_arithmetic.h"

/* The two rows (or columns) around a place, and how far below the first it lies, in 1/1024. Before
 * the first row both are the first: a share beyond 0 ... 1024 then does no harm. */
typedef struct {
  int32_t first, second, share;
} neighbours;

static neighbours around(int32_t place, int32_t size) {
  neighbours n;
  n.first = place > 0 ? place >> 10 : 0;
  n.second = (place + 1023) / 1024;
  if (n.second > size - 1) n.second = size - 1;
  n.share = place - n.first * 1024;
  return n;
}

/* out = the four pixels around, weighted by their shares, halves away from zero */
void micronet_resize_bilinear(const micronet_resize_bilinear_params *p, const int8_t *in,
                              int8_t *out) {
  for (int32_t y = 0; y < p->out_h; ++y) {
    const neighbours v = around(p->start_h + y * p->step_h, p->in_h);
    const int8_t *top = in + (ptrdiff_t)v.first * p->in_w * p->channels;
    const int8_t *bottom = in + (ptrdiff_t)v.second * p->in_w * p->channels;
    for (int32_t x = 0; x < p->out_w; ++x) {
      const neighbours h = around(p->start_w + x * p->step_w, p->in_w);
      const int32_t left = h.first * p->channels, right = h.second * p->channels;
      const int32_t top_left = (1024 - v.share) * (1024 - h.share);
      const int32_t bottom_left = v.share * (1024 - h.share);
      const int32_t top_right = (1024 - v.share) * h.share;
      const int32_t bottom_right = v.share * h.share;
      for (int32_t c = 0; c < p->channels; ++c) {
        const int32_t sum = top[left + c] * top_left + bottom[left + c] * bottom_left +
                            top[right + c] * top_right + bottom[right + c] * bottom_right;
        *out++ = (int8_t)((sum + (1 << 19) - (sum < 0)) >> 20);
      }
    }
  }
}
