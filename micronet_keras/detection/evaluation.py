"""Running a detector over a dataset, in float or int8 on TFLM, and measuring what it finds."""

from __future__ import annotations

import os
from collections.abc import Callable

import keras
import numpy as np

from micronet_keras.boxes import class_count, coder_of, decode, pack
from micronet_keras.data import Source
from micronet_keras.detection.metrics import GroundTruth, average_precision
from micronet_keras.detection.pictures import plot_detections
from micronet_keras.detection.pipeline import eval_batches
from micronet_keras.models import preprocess_input
from micronet_mcu.decode.detection import Detections, Selection


def detector_function(
    model: keras.Model,
    selection: Selection = Selection(),  # noqa: B008 (frozen)
    preprocess: Callable = preprocess_input,
) -> Callable[[np.ndarray], list[Detections]]:
    """A function from pixels, uint8 [batch, height, width, 3], to the detections in each image.

    Example:

    >>> detect = detector_function(model)
    >>> detect(images)[0].boxes
    """
    coder, classes, size = coder_of(model), class_count(model), model.input_shape[1:3]

    def detect(pixels):
        # Not `predict`, which would compile with XLA, several times slower on a CPU.
        outputs = model(preprocess(np.asarray(pixels)), training=False)
        packed = keras.ops.convert_to_numpy(pack(outputs, classes))
        return decode(packed, coder, selection, size)

    return detect


def evaluate_detector(
    detect: Callable[[np.ndarray], list[Detections]],
    source: Source,
    split: str,
    image_size: int,
    *,
    images: int | None = None,
    batch_size: int = 50,
    on_bad_image: str = "skip",
) -> dict[str, float | None]:
    """COCO's average precision of a detector on a split, in pixels of the original images.

    Args:
        detect: from uint8 [b, image_size, image_size, 3] to detections, e.g. of
            `detector_function`, or `Int8Detector(...)`.
        source, split, on_bad_image: see `micronet_keras.detection.eval_batches`.
        image_size: side of the detector's images.
        images: only the first so many.
        batch_size: images handed to `detect` at a time.

    Returns:
        See `average_precision`.
    """
    truth: list[GroundTruth] = []
    found: list[Detections] = []
    batches = eval_batches(source, split, image_size, batch_size, on_bad_image=on_bad_image)
    for pixels, objects in batches.as_numpy_iterator():
        for item, detections in zip(objects, detect(pixels), strict=True):
            scale = item[0, 6]
            boxes = detections.boxes * scale
            found.append(Detections(boxes, detections.scores, detections.labels))
            truth.append(ground_truth(item))
        if images and len(truth) >= images:
            break
    return average_precision(truth[:images], found[:images], len(source.object_class_names))


def ground_truth(objects: np.ndarray, scaled: bool = True) -> GroundTruth:
    """One image's rows of `eval_batches`; `scaled` to pixels of the original image."""
    rows = objects[objects[:, 4] >= 0]
    scale = objects[0, 6] if scaled else 1.0
    return GroundTruth(rows[:, :4] * scale, rows[:, 4].astype(np.int32), rows[:, 5] > 0)


def plot_examples(
    path: str | os.PathLike,
    detect: Callable[[np.ndarray], list[Detections]],
    source: Source,
    split: str,
    image_size: int,
    images: int = 12,
) -> None:
    """Draws what is found in the first images of a split beside the ground truth, as a PNG.

    Arguments as of `evaluate_detector`.

    Raises:
        UserError: the file cannot be written.
    """
    pixels, objects = next(eval_batches(source, split, image_size, images).as_numpy_iterator())
    truth = [ground_truth(item, scaled=False) for item in objects]
    plot_detections(path, pixels, truth, detect(pixels), source.object_class_names)
