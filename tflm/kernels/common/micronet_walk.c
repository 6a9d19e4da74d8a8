/* A walk through the input along six axes. */
#include <string.h>

#include "micronet_kernels.h"

/* The two fastest axes. */
static int8_t *plane(const int32_t *size, const int32_t *step, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < size[0]; ++i, in += step[0]) {
    if (step[1] == 1) {
      memcpy(out, in, (size_t)size[1]);
    } else {
      const int8_t *from = in;
      for (int32_t j = 0; j < size[1]; ++j, from += step[1]) out[j] = *from;
    }
    out += size[1];
  }
  return out;
}

void micronet_move(const micronet_move_params *p, const int8_t *in, int8_t *out) {
  const int32_t *n = p->size, *step = p->step;
  in += p->start;
  for (int32_t a = 0; a < n[0]; ++a) {
    for (int32_t b = 0; b < n[1]; ++b) {
      for (int32_t c = 0; c < n[2]; ++c) {
        for (int32_t d = 0; d < n[3]; ++d) {
          out = plane(n + 4, step + 4, in + a * step[0] + b * step[1] + c * step[2] + d * step[3],
                      out);
        }
      }
    }
  }
}
