// Cropping, resizing and quantizing pictures.
#include "image.h"

#include <climits>
#include <initializer_list>

namespace micronet {
namespace {

constexpr int kFraction = 64;  // parts of a pixel

struct Rgb {
  uint32_t r, g, b;
};

// Five or six bits widened so that the greatest value becomes 255.
constexpr uint32_t Widen5(uint32_t v) { return (v << 3) | (v >> 2); }
constexpr uint32_t Widen6(uint32_t v) { return (v << 2) | (v >> 4); }

Rgb Unpack565(uint32_t v) { return {Widen5(v >> 11), Widen6((v >> 5) & 63), Widen5(v & 31)}; }

Rgb Read(const uint8_t *row, int x, PixelFormat format) {
  switch (format) {
    case PixelFormat::kRgb565BigEndian:
      return Unpack565(static_cast<uint32_t>(row[2 * x] << 8 | row[2 * x + 1]));
    case PixelFormat::kRgb565LittleEndian:
      return Unpack565(static_cast<uint32_t>(row[2 * x + 1] << 8 | row[2 * x]));
    case PixelFormat::kGrey8:
      return {row[x], row[x], row[x]};
    case PixelFormat::kRgb888:
      break;
  }
  return {row[3 * x], row[3 * x + 1], row[3 * x + 2]};
}

int BytesPerPixel(PixelFormat format) {
  if (format == PixelFormat::kRgb888) return 3;
  return format == PixelFormat::kGrey8 ? 1 : 2;
}

// The share of one output pixel on one axis: from `begin` to `begin + length`, in 1/64 pixels of
// the crop. It may reach half a pixel beyond the crop's edge, where the edge's pixel counts on.
struct Share {
  int begin;
  int length;
};

Share ShareOf(int index, int crop, int size) {
  const int length = crop > size ? crop * kFraction / size : kFraction;
  const int twice_centre = (2 * index + 1) * crop * kFraction / size;
  return {(twice_centre - length) >> 1, length};  // rounds down, below zero too
}

// How much of source pixel `i` lies in the share.
uint32_t Weight(const Share &share, int i) {
  const int begin = i * kFraction > share.begin ? i * kFraction : share.begin;
  const int pixel_end = (i + 1) * kFraction;
  const int share_end = share.begin + share.length;
  return static_cast<uint32_t>((pixel_end < share_end ? pixel_end : share_end) - begin);
}

int FirstPixel(const Share &share) { return share.begin < 0 ? -1 : share.begin / kFraction; }
int LastPixel(const Share &share) { return (share.begin + share.length - 1) / kFraction; }
int Clamp(int i, int size) { return i < 0 ? 0 : (i < size ? i : size - 1); }

Rgb Mean(const Image &image, int row_bytes, const Crop &crop, const Share &across,
         const Share &down) {
  Rgb sum = {0, 0, 0};
  for (int y = FirstPixel(down); y <= LastPixel(down); ++y) {
    const uint8_t *row =
        image.data + static_cast<ptrdiff_t>(crop.top + Clamp(y, crop.height)) * row_bytes;
    const uint32_t row_weight = Weight(down, y);
    for (int x = FirstPixel(across); x <= LastPixel(across); ++x) {
      const Rgb pixel = Read(row, crop.left + Clamp(x, crop.width), image.format);
      const uint32_t weight = row_weight * Weight(across, x);
      sum.r += weight * pixel.r;
      sum.g += weight * pixel.g;
      sum.b += weight * pixel.b;
    }
  }
  const uint32_t total = static_cast<uint32_t>(across.length) * static_cast<uint32_t>(down.length);
  return {(sum.r + total / 2) / total, (sum.g + total / 2) / total, (sum.b + total / 2) / total};
}

Status CheckSides(std::initializer_list<int> sides) {
  for (int side : sides) {
    if (side < 1 || side > kMostSide) return {StatusCode::kImageSize, side, kMostSide};
  }
  return {};
}

// Of any two numbers: at the ends of their range it stays there.
int SumOf(int a, int b) {
  if (b > 0) return a > INT_MAX - b ? INT_MAX : a + b;
  return a < INT_MIN - b ? INT_MIN : a + b;
}

Status CheckCrop(const Image &image, const Crop &crop, int width, int height) {
  if (crop.left < 0 || crop.width < 1 || crop.width > image.width - crop.left) {
    return {StatusCode::kCrop, SumOf(crop.left, crop.width), image.width};
  }
  if (crop.top < 0 || crop.height < 1 || crop.height > image.height - crop.top) {
    return {StatusCode::kCrop, SumOf(crop.top, crop.height), image.height};
  }
  // 255 * (a share's area in 1/64^2 pixels) must fit 32 bits.
  const int across = crop.width / width + 1;
  const int down = crop.height / height + 1;
  if (across * down > 4000) return {StatusCode::kImageSize, crop.width, 62 * width};
  return {};
}

int AtLeast1(int dividend, int divisor) { return dividend < divisor ? 1 : dividend / divisor; }

}  // namespace

Status FillInput(const Image &image, const Crop &wanted, int width, int height, int channels,
                 int8_t *output) {
  Status status = CheckSides({image.width, image.height, width, height});
  if (!status.ok()) return status;
  const int least = image.width * BytesPerPixel(image.format);
  const int row_bytes = image.row_bytes != 0 ? image.row_bytes : least;
  if (row_bytes < least) return {StatusCode::kImageData, row_bytes, least};
  Crop crop = wanted;
  if (crop.width == 0 || crop.height == 0) {
    const int across = AtLeast1(image.height * width + height / 2, height);
    const int down = AtLeast1(image.width * height + width / 2, width);
    const int crop_width = across < image.width ? across : image.width;
    const int crop_height = down < image.height ? down : image.height;
    crop = {(image.width - crop_width) / 2, (image.height - crop_height) / 2, crop_width,
            crop_height};
  }
  status = CheckCrop(image, crop, width, height);
  if (!status.ok()) return status;
  for (int y = 0; y < height; ++y) {
    const Share down = ShareOf(y, crop.height, height);
    for (int x = 0; x < width; ++x) {
      const Rgb mean = Mean(image, row_bytes, crop, ShareOf(x, crop.width, width), down);
      if (channels == 1) {
        *output++ = static_cast<int8_t>(
            static_cast<int>((77 * mean.r + 150 * mean.g + 29 * mean.b + 128) >> 8) - 128);
      } else {
        *output++ = static_cast<int8_t>(static_cast<int>(mean.r) - 128);
        *output++ = static_cast<int8_t>(static_cast<int>(mean.g) - 128);
        *output++ = static_cast<int8_t>(static_cast<int>(mean.b) - 128);
      }
    }
  }
  return {};
}

}  // namespace micronet
