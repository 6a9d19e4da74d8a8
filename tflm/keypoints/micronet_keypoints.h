/* Decodes int8 heatmaps: the peak of each, between the cells. No heap, no floating point. */
#ifndef MICRONET_KEYPOINTS_H_
#define MICRONET_KEYPOINTS_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Steps of a coordinate from one cell to the next. */
#define MICRONET_KEYPOINT_STEPS 256
/* Largest height and width of a heatmap. */
#define MICRONET_KEYPOINT_MAX_SIDE 4096

typedef struct {
  /* In 1/256 cells from the left and upper edge of the heatmap; the centre of the first cell is at
   * 128. Times the stride (4) and divided by 256 it is a coordinate in the crop. */
  int32_t x;
  int32_t y;
  /* The peak minus the zero point, -255 to 255; times the output's scale it is the score. */
  int32_t score;
} micronet_keypoint;

/* Finds one keypoint in each heatmap.
 *
 * heatmaps: int8 [height][width][keypoints], the output of the model.
 * zero_point: of that output, -128 to 127.
 * found: room for `keypoints` results.
 * Returns 0, or -1 when a pointer is null or a number is out of its range; then nothing is written.
 *
 * The results are those of micronet_mcu.decode.keypoints.decode_int8, bit for bit.
 */
int micronet_decode_keypoints(const int8_t *heatmaps, int32_t height, int32_t width,
                              int32_t keypoints, int32_t zero_point, micronet_keypoint *found);

#ifdef __cplusplus
}
#endif

#endif /* MICRONET_KEYPOINTS_H_ */
