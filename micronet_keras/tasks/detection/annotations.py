"""The objects of a dataset's records, with those that make no sense found, named and counted."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from micronet_keras.data import Source
from micronet_mcu.errors import UserError

# Share of the image by which a box may reach beyond it: rounding of annotations in whole pixels.
TOLERANCE = 0.01

# A coordinate that no rounding explains.
_SURELY_PIXELS = 2.0

_PROBLEMS = (
    "a coordinate is not a number",
    "the box reaches beyond the image",
    "the box has no area",
    "unknown class",
)


@dataclasses.dataclass(frozen=True)
class AnnotationReport:
    """What `check_annotations` found.

    Attributes:
        images, objects: how many there are, bad ones included.
        problems: one line for each bad object: record, number of the object, what is wrong.
        counts: good objects by class, in the order of the classes.
        most: objects of the image that has most, bad ones included.
    """

    images: int
    objects: int
    problems: tuple[str, ...]
    counts: dict[str, int]
    most: int

    def summary(self) -> str:
        """One line for the user, empty when every annotation is fine."""
        if not self.problems:
            return ""
        named = "; ".join(self.problems[:5]) + ("; ..." if len(self.problems) > 5 else "")
        total = sum(self.counts.values()) + len(self.problems)
        return f"{len(self.problems)} of {total} annotations are bad: {named}"


def require_objects(source: Source) -> None:
    """Raises UserError when the records of a dataset have no boxes with labels."""
    split = next(iter(source.splits))
    objects = source.raw(split).element_spec.get("objects", {})
    if not {"bbox", "label"} <= set(objects):
        raise UserError(
            f"dataset {source.name!r} is not for detection: it has no objects/bbox and "
            "objects/label; micronet_shapes/multi is bundled, voc and coco/2017 are TFDS's, a "
            "folder has COCO JSON, Pascal VOC XML or YOLO txt"
        )


def read_objects(record: dict, classes: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The objects of one record, in a graph.

    Returns:
        boxes float32 [n, 4], relative (top, left, bottom, right), clipped to 0..1; labels int32
        [n]; crowd bool [n], for objects that are neither to be learned nor to be counted as missed
        (`is_crowd` of COCO, `is_difficult` of VOC); problem int32 [n], an index into the kinds of
        problems or -1.
    """
    objects = record["objects"]
    boxes = tf.reshape(tf.cast(objects["bbox"], tf.float32), (-1, 4))
    labels = tf.cast(objects["label"], tf.int32)
    crowd = tf.zeros_like(labels, tf.bool)
    for key in ("is_crowd", "is_difficult"):
        if key in objects:
            crowd |= tf.cast(objects[key], tf.bool)
    wrong = tf.stack(
        [
            ~tf.reduce_all(tf.math.is_finite(boxes), axis=1),
            tf.reduce_any((boxes < -TOLERANCE) | (boxes > 1 + TOLERANCE), axis=1),
            tf.reduce_any(boxes[:, 2:] <= boxes[:, :2], axis=1),
            (labels < 0) | (labels >= classes),
        ],
        axis=1,
    )
    first = tf.argmax(wrong, axis=1, output_type=tf.int32)
    problem = tf.where(tf.reduce_any(wrong, axis=1), first, -1)
    return tf.clip_by_value(boxes, 0.0, 1.0), labels, crowd, problem


def check_annotations(source: Source, split: str, on_bad_annotation: str) -> AnnotationReport:
    """Reads all annotations of a split (no image is decoded) and judges every object.

    Args:
        source: from `micronet_keras.data.load_dataset`.
        split: a name in `source.splits`.
        on_bad_annotation: "skip": bad objects are reported here and left out of training and
            evaluation; "error": they are refused.

    Raises:
        UserError: there are no boxes at all, none that is good, most are in pixels, or there are
            bad ones and `on_bad_annotation` is "error".
        ValueError: `on_bad_annotation` is neither.

    Example:

    >>> check_annotations(scenes, "train", "skip").problems
    ()
    """
    if on_bad_annotation not in ("skip", "error"):
        raise ValueError(
            f"on_bad_annotation must be 'skip' or 'error'. Received: {on_bad_annotation!r}"
        )
    require_objects(source)
    classes = len(source.object_class_names)

    def judged(record):
        largest = tf.reduce_max(tf.cast(record["objects"]["bbox"], tf.float32))
        _, labels, _, problem = read_objects(record, classes)
        return record["record"], labels, problem, largest

    images = objects = most = beyond = 0
    largest = 0.0
    problems = list(source.bad_records.get(split, ()))
    counts = np.zeros(classes, np.int64)
    for record, labels, found, furthest in source.raw(split).map(judged).as_numpy_iterator():
        images, objects, most = images + 1, objects + len(found), max(most, len(found))
        problems += [
            f"{record.decode(errors='replace')} object {i}: {_PROBLEMS[kind]}"
            for i, kind in enumerate(found)
            if kind >= 0
        ]
        counts += np.bincount(labels[found < 0], minlength=classes)
        if furthest > _SURELY_PIXELS:
            beyond += int((found >= 0).sum())
            largest = max(largest, float(furthest))
    named = dict(zip(source.object_class_names, map(int, counts), strict=True))
    report = AnnotationReport(images, objects, tuple(problems), named, most)
    where = f"dataset {source.name!r}, split {split!r}"
    if beyond * 2 > objects:
        raise UserError(
            f"{where}: the boxes are in pixels, up to {largest:.0f}; shares of the image, 0 to 1, "
            "are wanted: divide them by height and width"
        )
    if problems and (on_bad_annotation == "error" or not counts.any()):
        advice = "mend them, or skip bad annotations" if counts.any() else "mend them"
        raise UserError(f"{where}: {report.summary()}; {advice}")
    if not objects:
        raise UserError(f"split {split!r} of {source.name!r} has no objects at all")
    return report
