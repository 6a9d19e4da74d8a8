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

/* As few runs as there are: what lies behind one row or pixel and before the next one is filled at
 * once, and where channels are not padded, rows are copied whole. */
void micronet_pad(const micronet_pad_params *p, const int8_t *in, int8_t *out) {
  const int32_t channels = p->front + p->in_c + p->back;
  const int32_t row = (p->left + p->in_w + p->right) * channels;
  const int32_t left = p->left * channels + p->front, right = p->right * channels + p->back;
  const int whole = p->front + p->back == 0;
  const int32_t run = whole ? p->in_w * p->in_c : p->in_c, runs = whole ? 1 : p->in_w;
  out = fill(out, p->value, p->top * row + left);
  for (int y = 0; y < p->in_h; ++y) {
    for (int32_t i = 0; i < runs; ++i, in += run) {
      if (i > 0) out = fill(out, p->value, p->back + p->front);
      memcpy(out, in, (size_t)run);
      out += run;
    }
    out = fill(out, p->value, right + (y + 1 < p->in_h ? left : p->bottom * row));
  }
}
