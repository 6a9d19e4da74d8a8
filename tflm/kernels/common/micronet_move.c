/* Moving data in blocks: GATHER, CONCATENATION, PAD. */
#include <string.h>

#include "micronet_kernels.h"

void micronet_gather_channels(int32_t pixels, int32_t in_c, int32_t out_c, const uint16_t *index,
                              const int8_t *in, int8_t *out) {
  /* Four pixels at a time, so that an index is read once for all of them. */
  for (; pixels >= 4; pixels -= 4, in += 4 * in_c, out += 4 * out_c) {
    for (int32_t j = 0; j < out_c; ++j) {
      const int8_t *from = in + index[j];
      int8_t *to = out + j;
      to[0] = from[0];
      to[out_c] = from[in_c];
      to[2 * out_c] = from[2 * in_c];
      to[3 * out_c] = from[3 * in_c];
    }
  }
  for (; pixels > 0; --pixels, in += in_c) {
    for (int32_t j = 0; j < out_c; ++j) *out++ = in[index[j]];
  }
}

void micronet_gather_blocks(int32_t outer, int32_t in_n, int32_t out_n, int32_t block,
                            const uint16_t *index, const int8_t *in, int8_t *out) {
  for (; outer > 0; --outer, in += in_n * block) {
    for (int32_t j = 0; j < out_n; ++j, out += block) {
      memcpy(out, in + index[j] * block, (size_t)block);
    }
  }
}

void micronet_concatenate(int32_t rows, int32_t count, const int32_t *widths,
                          const int8_t *const *inputs, int8_t *out) {
  for (int32_t row = 0; row < rows; ++row) {
    for (int32_t i = 0; i < count; ++i) {
      memcpy(out, inputs[i] + row * widths[i], (size_t)widths[i]);
      out += widths[i];
    }
  }
}

static int8_t *fill(int8_t *out, int8_t value, int32_t count) {
  memset(out, value, (size_t)count);
  return out + count;
}

void micronet_pad(const micronet_pad_params *p, const int8_t *in, int8_t *out) {
  const int32_t out_c = p->front + p->in_c + p->back;
  const int32_t out_row = (p->left + p->in_w + p->right) * out_c;
  out = fill(out, p->value, p->top * out_row);
  for (int y = 0; y < p->in_h; ++y) {
    out = fill(out, p->value, p->left * out_c);
    for (int x = 0; x < p->in_w; ++x, in += p->in_c) {
      out = fill(out, p->value, p->front);
      memcpy(out, in, (size_t)p->in_c);
      out = fill(out + p->in_c, p->value, p->back);
    }
    out = fill(out, p->value, p->right * out_c);
  }
  fill(out, p->value, p->bottom * out_row);
}
