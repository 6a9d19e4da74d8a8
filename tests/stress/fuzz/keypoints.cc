// Heatmaps of every size and content, and arguments out of range.
#include <cstdlib>
#include <cstring>

#include "micronet_keypoints.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int32_t numbers[4] = {};
  if (size < sizeof(numbers) + 1) return 0;
  memcpy(numbers, data + 1, sizeof(numbers));
  if (data[0] & 7) {  // possible ones most of the time
    for (int i = 0; i < 3; ++i) numbers[i] = 1 + (numbers[i] & 15);
    numbers[3] = static_cast<int8_t>(numbers[3]);
  }
  const int32_t height = numbers[0], width = numbers[1], keypoints = numbers[2];
  const bool possible = height > 0 && width > 0 && keypoints > 0 &&
                        height <= MICRONET_KEYPOINT_MAX_SIDE && width <= MICRONET_KEYPOINT_MAX_SIDE;
  // What is possible but large is left out.
  if (possible && (keypoints > 4096 || int64_t{height} * width * keypoints > 1 << 16)) return 0;
  const size_t count = possible ? static_cast<size_t>(height) * static_cast<size_t>(width) *
                                      static_cast<size_t>(keypoints)
                                : 0;
  int8_t *maps = static_cast<int8_t *>(malloc(count + 1)) + 1;
  const uint8_t *rest = data + 1 + sizeof(numbers);
  const size_t left = size - 1 - sizeof(numbers);
  for (size_t i = 0; i < count; ++i) {
    maps[i] = left ? static_cast<int8_t>(rest[i % left]) : static_cast<int8_t>(127);
  }
  const size_t room = possible ? static_cast<size_t>(keypoints) * sizeof(micronet_keypoint) : 0;
  micronet_keypoint *found = static_cast<micronet_keypoint *>(malloc(room + 1));
  const int code = micronet_decode_keypoints(data[0] & 8 ? nullptr : maps, height, width, keypoints,
                                             numbers[3], found);
  if (code == 0) {
    for (int i = 0; i < keypoints; ++i) {
      if (found[i].x < 0 || found[i].x > width * MICRONET_KEYPOINT_STEPS || found[i].y < 0 ||
          found[i].y > height * MICRONET_KEYPOINT_STEPS || found[i].score < -255 ||
          found[i].score > 255) {
        abort();
      }
    }
  }
  free(found);
  free(maps - 1);
  return 0;
}
