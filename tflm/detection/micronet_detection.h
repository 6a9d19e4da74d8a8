/* From the int8 outputs of a detector to a list of objects: decoding and suppression of doubles.
 *
 * Whole numbers only, no allocation, no recursion, no dependency: the result is the same on every
 * machine, and the same as that of micronet_mcu.decode.Int8Decoder. Sigmoid and softplus are
 * tables; micronet_mcu.decode.write_c_detector writes them with everything else that is
 * constant for a model.
 */
#ifndef MICRONET_DETECTION_H_
#define MICRONET_DETECTION_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One feature map of predictions, constant for a model. */
typedef struct {
  int16_t height; /* places down, 0 or more */
  int16_t width;  /* places across, 0 or more */
  int16_t stride; /* pixels of the image from one place to the next, 1 or more */
  /* Score of the stored values -128 ... 127 in 1/65535, and distance from a place to a side of its
   * box in 1/16 pixel. */
  const uint16_t *scores;
  const uint16_t *distances;
} micronet_detection_level;

/* A detector, constant for a model. height, width: of the image in pixels, at most 4095. */
typedef struct {
  int16_t height;
  int16_t width;
  int16_t classes;
  int16_t level_count;
  const micronet_detection_level *levels;
} micronet_detector;

/* The int8 output tensors of a level, rows of places: height * width * classes scores and
 * height * width * 4 distances (up, left, down, right). */
typedef struct {
  const int8_t *scores;
  const int8_t *boxes;
} micronet_detection_outputs;

/* What becomes a detection. */
typedef struct {
  uint16_t min_score;   /* candidates below it are dropped; in 1/65535 */
  uint16_t max_overlap; /* of two of a class with a larger IoU the better one stays; in 1/256 */
  int16_t max_detections;
} micronet_detection_selection;

/* An object, in 1/16 pixel, inside the image: top < bottom and left < right. */
typedef struct {
  int32_t top;
  int32_t left;
  int32_t bottom;
  int32_t right;
  uint16_t score; /* in 1/65535 */
  int16_t label;
} micronet_detection;

/* Finds the objects in one image.
 *
 * outputs: level_count entries. found: room for `capacity` candidates: that many with the highest
 * scores are looked at (of equal ones the first), so it should have room for more than
 * max_detections. On return its beginning holds the detections, the highest score first.
 * Returns their number: 0 ... min(capacity, max_detections). Time grows with the number of places
 * times classes, and with `capacity` times the candidates.
 */
int micronet_detect(const micronet_detector *detector, const micronet_detection_outputs *outputs,
                    const micronet_detection_selection *selection, micronet_detection *found,
                    int capacity);

#ifdef __cplusplus
}
#endif

#endif /* MICRONET_DETECTION_H_ */
