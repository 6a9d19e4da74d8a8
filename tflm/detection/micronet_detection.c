/* Decoding and non-maximum suppression; see micronet_detection.h. */
#include "micronet_detection.h"

#define PIXEL 16
#define FULL_OVERLAP 256

static int32_t clipped(int32_t value, int32_t limit) {
  if (value < 0) return 0;
  return value > limit ? limit : value;
}

/* The box of a place; returns 0 when nothing of it is inside the image. */
static int decode_box(const micronet_detector *detector, const micronet_detection_level *level,
                      int row, int column, const int8_t *stored, micronet_detection *box) {
  const int32_t y = (2 * row + 1) * (int32_t)level->stride * (PIXEL / 2);
  const int32_t x = (2 * column + 1) * (int32_t)level->stride * (PIXEL / 2);
  const int32_t height = (int32_t)detector->height * PIXEL;
  const int32_t width = (int32_t)detector->width * PIXEL;
  box->top = clipped(y - level->distances[stored[0] + 128], height);
  box->left = clipped(x - level->distances[stored[1] + 128], width);
  box->bottom = clipped(y + level->distances[stored[2] + 128], height);
  box->right = clipped(x + level->distances[stored[3] + 128], width);
  return box->bottom > box->top && box->right > box->left;
}

/* Puts a candidate behind all that are at least as good; returns the new count. */
static int insert(micronet_detection *found, int count, int capacity,
                  const micronet_detection *candidate) {
  int place = count < capacity ? count : capacity - 1;
  while (place > 0 && found[place - 1].score < candidate->score) {
    found[place] = found[place - 1];
    --place;
  }
  found[place] = *candidate;
  return count < capacity ? count + 1 : count;
}

static int collect(const micronet_detector *detector, const micronet_detection_outputs *outputs,
                   uint16_t min_score, micronet_detection *found, int capacity) {
  int count = 0;
  if (capacity <= 0) return 0;
  for (int i = 0; i < detector->level_count; ++i) {
    const micronet_detection_level *level = &detector->levels[i];
    const int8_t *scores = outputs[i].scores;
    const int8_t *boxes = outputs[i].boxes;
    for (int row = 0; row < level->height; ++row) {
      for (int column = 0; column < level->width; ++column, boxes += 4) {
        micronet_detection candidate;
        int state = -1; /* whether the place has a box; decoded only where a score asks for it */
        for (int label = 0; label < detector->classes; ++label, ++scores) {
          const uint16_t score = level->scores[*scores + 128];
          if (score < min_score) continue;
          if (count == capacity && score <= found[count - 1].score) continue;
          if (state < 0) state = decode_box(detector, level, row, column, boxes, &candidate);
          if (!state) continue;
          candidate.score = score;
          candidate.label = (int16_t)label;
          count = insert(found, count, capacity, &candidate);
        }
      }
    }
  }
  return count;
}

static int64_t area(const micronet_detection *box) {
  return (int64_t)(box->bottom - box->top) * (box->right - box->left);
}

static int overlap(const micronet_detection *a, const micronet_detection *b, uint16_t max_overlap) {
  const int32_t top = a->top > b->top ? a->top : b->top;
  const int32_t left = a->left > b->left ? a->left : b->left;
  const int32_t bottom = a->bottom < b->bottom ? a->bottom : b->bottom;
  const int32_t right = a->right < b->right ? a->right : b->right;
  if (bottom <= top || right <= left) return 0;
  const int64_t shared = (int64_t)(bottom - top) * (right - left);
  return shared * FULL_OVERLAP > max_overlap * (area(a) + area(b) - shared);
}

int micronet_detect(const micronet_detector *detector, const micronet_detection_outputs *outputs,
                    const micronet_detection_selection *selection, micronet_detection *found,
                    int capacity) {
  const int count = collect(detector, outputs, selection->min_score, found, capacity);
  int kept = 0;
  for (int i = 0; i < count && kept < selection->max_detections; ++i) {
    int doubled = 0;
    for (int j = 0; j < kept && !doubled; ++j) {
      doubled =
          found[j].label == found[i].label && overlap(&found[j], &found[i], selection->max_overlap);
    }
    if (!doubled) found[kept++] = found[i];
  }
  return kept;
}
