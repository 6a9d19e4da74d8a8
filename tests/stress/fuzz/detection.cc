// Outputs and tables of every kind, for detectors of up to three levels.
#include <cstdlib>
#include <cstring>

#include "micronet_detection.h"

namespace {

struct Bytes {
  const uint8_t *data;
  size_t size;

  uint8_t Next() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
  uint16_t Word() {
    const int low = Next();
    return static_cast<uint16_t>(low | Next() << 8);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes bytes = {data, size};
  const int level_count = bytes.Next() % 4;
  const int classes = bytes.Next() % 5;
  micronet_detection_level levels[3];
  micronet_detection_outputs outputs[3];
  static uint16_t tables[3][2][256];
  int8_t *maps[3][2] = {};
  for (int i = 0; i < level_count; ++i) {
    levels[i].height = static_cast<int16_t>(bytes.Next() % 6);
    levels[i].width = static_cast<int16_t>(bytes.Next() % 6);
    levels[i].stride = static_cast<int16_t>(1 + bytes.Word() % 4095);
    const uint16_t scale = bytes.Word(), step = bytes.Word();
    for (int q = 0; q < 256; ++q) {
      tables[i][0][q] = static_cast<uint16_t>(q * scale >> 8);
      tables[i][1][q] = static_cast<uint16_t>(q * step);
    }
    levels[i].scores = tables[i][0];
    levels[i].distances = tables[i][1];
    const int places = levels[i].height * levels[i].width;
    for (int kind = 0; kind < 2; ++kind) {
      const int count = places * (kind ? 4 : classes);
      maps[i][kind] = static_cast<int8_t *>(malloc(static_cast<size_t>(count) + 1)) + 1;
      for (int k = 0; k < count; ++k) maps[i][kind][k] = static_cast<int8_t>(bytes.Next());
    }
    outputs[i].scores = maps[i][0];
    outputs[i].boxes = maps[i][1];
  }
  micronet_detector detector = {};
  detector.height = static_cast<int16_t>(1 + bytes.Word() % 4095);
  detector.width = static_cast<int16_t>(1 + bytes.Word() % 4095);
  detector.classes = static_cast<int16_t>(classes);
  detector.level_count = static_cast<int16_t>(level_count);
  detector.levels = levels;
  micronet_detection_selection selection = {};
  selection.min_score = bytes.Word();
  selection.max_overlap = bytes.Word();
  selection.max_detections = static_cast<int16_t>(bytes.Word());
  const int capacity = bytes.Next() % 33;
  const size_t room = static_cast<size_t>(capacity) * sizeof(micronet_detection);
  micronet_detection *found = static_cast<micronet_detection *>(malloc(room ? room : 1));
  const int count = micronet_detect(&detector, outputs, &selection, found, capacity);
  if (count < 0 || count > capacity) abort();
  for (int i = 0; i < count; ++i) {
    const micronet_detection &d = found[i];
    const bool inside = d.top >= 0 && d.left >= 0 && d.top < d.bottom && d.left < d.right &&
                        d.bottom <= 16 * detector.height && d.right <= 16 * detector.width;
    const bool sorted = i == 0 || found[i - 1].score >= d.score;
    if (!inside || !sorted || d.label < 0 || d.label >= classes) abort();
  }
  free(found);
  for (auto &level : maps) {
    for (int8_t *map : level) {
      if (map) free(map - 1);
    }
  }
  return 0;
}
