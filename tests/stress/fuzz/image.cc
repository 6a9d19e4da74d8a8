// Pictures of every size and form, also of impossible ones, into inputs of every size.
#include "image.h"

#include <cstdlib>
#include <cstring>

namespace {

constexpr int kMostBytes = 1 << 14;

struct Numbers {
  const uint8_t *data;
  size_t size;

  int Next() {
    int32_t value = 0;
    const size_t count = size < 5 ? size : 5;
    if (count > 1) memcpy(&value, data + 1, count - 1);
    // Small ones most of the time: impossible ones are refused at once.
    if (count > 0 && data[0] & 3) value &= 63;
    data += count;
    size -= count;
    return value;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Numbers numbers = {data, size};
  micronet::Image image;
  image.width = numbers.Next();
  image.height = numbers.Next();
  image.row_bytes = numbers.Next();
  image.format = static_cast<micronet::PixelFormat>(numbers.Next() & 3);
  const micronet::Crop crop = {numbers.Next(), numbers.Next(), numbers.Next(), numbers.Next()};
  const int width = numbers.Next(), height = numbers.Next();
  const int channels = numbers.Next() & 1 ? 1 : 3;

  // A caller promises as many bytes as the picture says; more than fit here are left out.
  const bool possible = image.width > 0 && image.width <= micronet::kMostSide && image.height > 0 &&
                        image.height <= micronet::kMostSide;
  const int pixel = image.format == micronet::PixelFormat::kRgb888  ? 3
                    : image.format == micronet::PixelFormat::kGrey8 ? 1
                                                                    : 2;
  const long least = possible ? static_cast<long>(image.width) * pixel : 0;
  const long row = image.row_bytes > least ? image.row_bytes : least;
  const long bytes = possible ? row * (image.height - 1) + least : 0;
  const bool wanted =
      width > 0 && width <= micronet::kMostSide && height > 0 && height <= micronet::kMostSide;
  const long output_bytes = wanted ? static_cast<long>(width) * height * channels : 0;
  if (bytes > kMostBytes || output_bytes > kMostBytes) return 0;
  uint8_t *pixels = static_cast<uint8_t *>(malloc(static_cast<size_t>(bytes) + 1)) + 1;
  for (long i = 0; i < bytes; ++i) {
    pixels[i] = numbers.size ? numbers.data[static_cast<size_t>(i) % numbers.size] : 255;
  }
  image.data = pixels;
  int8_t *output = static_cast<int8_t *>(malloc(static_cast<size_t>(output_bytes) + 1)) + 1;
  micronet::FillInput(image, crop, width, height, channels, output);
  free(output - 1);
  free(pixels - 1);
  return 0;
}
