"""Average precision as COCO measures it, with pycocotools."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from micronet_mcu.decode.detection import Detections

_NAMES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")


@dataclasses.dataclass(frozen=True)
class GroundTruth:
    """The objects of one image.

    Attributes:
        boxes: float [n, 4] of (top, left, bottom, right) in pixels.
        labels: int [n].
        crowd: bool [n]; may be found or not, without effect.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray


def average_precision(
    truth: Sequence[GroundTruth], found: Sequence[Detections], classes: int
) -> dict[str, float | None]:
    """COCO's average precision of detections in images.

    Args:
        truth: the objects of each image.
        found: the detections in each image, in pixels of the same image (float form).
        classes: number of classes.

    Returns:
        "AP" (over IoU 0.5 ... 0.95), "AP50", "AP75", and AP by area of the object: "AP_small" below
        32^2 pixels, "AP_medium" below 96^2, "AP_large"; 0 to 1, None where there is no such object.

    Example:

    >>> boxes, labels = np.array([[2.0, 2, 40, 30]]), np.array([3])
    >>> truth = GroundTruth(boxes, labels, crowd=np.array([False]))
    >>> found = Detections(boxes + 1, np.array([0.9]), labels)
    >>> round(average_precision([truth], [found], classes=10)["AP50"], 3)
    1.0
    """
    if len(truth) != len(found):
        raise ValueError(
            f"Received: {len(truth)} images with objects, {len(found)} with detections"
        )
    annotations: list[dict] = []
    for image, objects in enumerate(truth):
        for box, label, crowd in zip(objects.boxes, objects.labels, objects.crowd, strict=True):
            width_height = _xywh(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": width_height,
                    "area": width_height[2] * width_height[3],
                    "iscrowd": int(crowd),
                }
            )
    results = [
        {
            "image_id": image,
            "category_id": int(label),
            "bbox": _xywh(box),
            "score": float(score),
        }
        for image, objects in enumerate(found)
        for box, label, score in zip(objects.boxes, objects.labels, objects.scores, strict=True)
    ]
    # pycocotools reports on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(len(truth))],
            "categories": [{"id": label} for label in range(classes)],
            "annotations": annotations,
        }
        coco.createIndex()
        if not results:
            present = bool(annotations)
            return {name: 0.0 if present and name in _NAMES[:3] else None for name in _NAMES}
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = evaluation.stats[: len(_NAMES)]
    return {
        name: None if value < 0 else float(value)
        for name, value in zip(_NAMES, values, strict=True)
    }


def _xywh(box) -> list[float]:
    top, left, bottom, right = (float(edge) for edge in box)
    return [left, top, right - left, bottom - top]
