// From a camera's picture to the model's input: crop, resize, quantize, in integers and in one
// pass.
#ifndef MICRONET_IMAGE_H_
#define MICRONET_IMAGE_H_

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace micronet {

enum class PixelFormat : uint8_t {
  kRgb888,           // R, G, B
  kRgb565BigEndian,  // RRRRRGGG GGGBBBBB, as cameras send it
  kRgb565LittleEndian,
  kGrey8,
};

// A picture in memory; it is only read.
struct Image {
  const uint8_t *data = nullptr;
  int width = 0;
  int height = 0;
  int row_bytes = 0;  // from one row to the next; 0: rows follow each other without a gap
  PixelFormat format = PixelFormat::kRgb888;
};

// A part of a picture. width or height 0: the largest centred part of the input's shape.
struct Crop {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

constexpr int kMostSide = 4096;

// Fills `output` (int8 [height, width, channels], channels 3 or 1) with pixel - 128, which is what
// the models take: normalisation is part of their first layer.
//
// Every output pixel is the mean over its share of the crop, at least one source pixel wide: an
// area mean when the picture shrinks, bilinear interpolation when it grows. Positions are exact to
// 1/64 pixel, values are rounded to the nearest. Grey becomes three equal channels; RGB becomes
// grey as (77 R + 150 G + 29 B) / 256.
Status FillInput(const Image &image, const Crop &crop, int width, int height, int channels,
                 int8_t *output);

}  // namespace micronet

#endif  // MICRONET_IMAGE_H_
