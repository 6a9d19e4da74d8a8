/* Runs micronet_detect on cases from standard input and prints what it finds; for the tests.
 * A case: int32 height, width, classes, levels, min_score, max_overlap, max_detections, capacity;
 * for each level int32 height, width, stride, then both tables, then scores and boxes. */
#include <stdio.h>
#include <stdlib.h>

#include "micronet_detection.h"

enum { MAX_LEVELS = 8 };

static void read_all(void *target, size_t size) {
  if (size && fread(target, 1, size, stdin) != size) exit(1);
}

/* A block of exactly this size, so that a sanitizer sees every step beyond it. */
static void *block(size_t size) {
  void *memory = malloc(size ? size : 1);
  if (!memory) exit(1);
  return memory;
}

int main(void) {
  int32_t head[8];
  while (fread(head, sizeof head, 1, stdin) == 1) {
    micronet_detection_level levels[MAX_LEVELS];
    micronet_detection_outputs outputs[MAX_LEVELS];
    for (int i = 0; i < head[3]; ++i) {
      int32_t shape[3];
      read_all(shape, sizeof shape);
      const size_t places = (size_t)(shape[0] * shape[1]);
      uint16_t *tables = block(512 * sizeof(uint16_t));
      int8_t *scores = block(places * (size_t)head[2]);
      int8_t *boxes = block(places * 4);
      read_all(tables, 512 * sizeof(uint16_t));
      read_all(scores, places * (size_t)head[2]);
      read_all(boxes, places * 4);
      levels[i] = (micronet_detection_level){(int16_t)shape[0], (int16_t)shape[1],
                                             (int16_t)shape[2], tables, tables + 256};
      outputs[i] = (micronet_detection_outputs){scores, boxes};
    }
    const micronet_detector detector = {(int16_t)head[0], (int16_t)head[1], (int16_t)head[2],
                                        (int16_t)head[3], levels};
    const micronet_detection_selection selection = {(uint16_t)head[4], (uint16_t)head[5],
                                                    (int16_t)head[6]};
    micronet_detection *found = block((size_t)head[7] * sizeof *found);
    const int count = micronet_detect(&detector, outputs, &selection, found, head[7]);
    printf("%d\n", count);
    for (int i = 0; i < count; ++i) {
      printf("%d %d %d %d %d %d\n", found[i].top, found[i].left, found[i].bottom, found[i].right,
             found[i].score, found[i].label);
    }
    free(found);
    for (int i = 0; i < head[3]; ++i) {
      free((void *)levels[i].scores);
      free((void *)outputs[i].scores);
      free((void *)outputs[i].boxes);
    }
  }
  return 0;
}
