/* Test driver: reads cases from standard input, writes what micronet_decode_keypoints finds.
 *
 * A case is four int32 (height, width, keypoints, zero point) and the int8 heatmaps. The arrays are
 * allocated at their exact size, so that a sanitizer sees every step outside. */
#include <stdio.h>
#include <stdlib.h>

#include "micronet_keypoints.h"

int main(void) {
  int32_t header[4];
  while (fread(header, sizeof(int32_t), 4, stdin) == 4) {
    const size_t count = (size_t)header[0] * (size_t)header[1] * (size_t)header[2];
    int8_t *heatmaps = malloc(count);
    micronet_keypoint *found = malloc((size_t)header[2] * sizeof(micronet_keypoint));
    if (heatmaps == NULL || found == NULL || fread(heatmaps, 1, count, stdin) != count) return 1;
    if (micronet_decode_keypoints(heatmaps, header[0], header[1], header[2], header[3], found)) {
      return 2;
    }
    for (int32_t i = 0; i < header[2]; ++i) {
      const int32_t result[3] = {found[i].x, found[i].y, found[i].score};
      if (fwrite(result, sizeof(int32_t), 3, stdout) != 3) return 3;
    }
    free(heatmaps);
    free(found);
  }
  micronet_keypoint one;
  const int8_t cell = 0;
  const int refused = micronet_decode_keypoints(NULL, 1, 1, 1, 0, &one) == -1 &&
                      micronet_decode_keypoints(&cell, 1, 1, 1, 0, NULL) == -1 &&
                      micronet_decode_keypoints(&cell, 0, 1, 1, 0, &one) == -1 &&
                      micronet_decode_keypoints(&cell, 1, 4097, 1, 0, &one) == -1 &&
                      micronet_decode_keypoints(&cell, 1, 1, -1, 0, &one) == -1 &&
                      micronet_decode_keypoints(&cell, 1, 1, 1, 128, &one) == -1;
  return refused ? 0 : 4;
}
