"""From a detector's outputs to a list of objects: decoding and suppression of doubles, in numpy.

The int8 form computes in whole numbers alone, exactly as the C code in `tflm/detection` does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from micronet_mcu.errors import UserError
from micronet_mcu.tflite.model import Tensor

# Whole numbers of the int8 form: boxes in 1/16 pixel, scores in 1/65535, overlaps in 1/256.
PIXEL = 16
FULL_SCORE = 65535
FULL_OVERLAP = 256
LARGEST_SIDE = 4095


@dataclasses.dataclass(frozen=True)
class Level:
    """One feature map of predictions.

    Attributes:
        height, width: of the map, in places.
        stride: pixels of the image from one place to the next.
    """

    height: int
    width: int
    stride: int

    def centres(self) -> np.ndarray:
        """float32 [height * width, 2] of (y, x) in pixels, row by row."""
        y = (np.arange(self.height) + 0.5) * self.stride
        x = (np.arange(self.width) + 0.5) * self.stride
        return np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2).astype("float32")


@dataclasses.dataclass(frozen=True)
class Detections:
    """What was found in one image, the highest score first.

    Attributes:
        boxes: [k, 4] of (top, left, bottom, right) in pixels, inside the image; float32, or int32
            in 1/16 pixel from the int8 form.
        scores: [k]; float32 0 to 1, or uint16 0 to 65535 from the int8 form.
        labels: int32 [k].
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def in_pixels(self) -> Detections:
        """The int8 form in the units of the float form."""
        boxes = (self.boxes / PIXEL).astype(np.float32)
        return Detections(boxes, (self.scores / FULL_SCORE).astype(np.float32), self.labels)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which of the candidates become detections.

    Attributes:
        min_score: candidates below it are dropped, 0 to 1.
        max_overlap: of two of a class with a larger IoU the better one stays, 0 to 1; rounded to
            whole 1/256.
        max_candidates: that many with the highest scores are looked at; of equal ones the first.
        max_detections: that many are returned at most.
    """

    min_score: float = 0.05
    max_overlap: float = 0.6
    max_candidates: int = 200
    max_detections: int = 100

    def __post_init__(self) -> None:
        for name in ("min_score", "max_overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1. Received: {getattr(self, name)}")
        for name in ("max_candidates", "max_detections"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more. Received: {getattr(self, name)}")

    @property
    def whole_score(self) -> int:
        """`min_score` in 1/65535."""
        return round(self.min_score * FULL_SCORE)

    @property
    def whole_overlap(self) -> int:
        """`max_overlap` in 1/256."""
        return round(self.max_overlap * FULL_OVERLAP)


def select(
    boxes: np.ndarray, scores: np.ndarray, selection: Selection, min_score: float
) -> Detections:
    """boxes [places, 4], scores [places, classes]: candidates, their order, suppression."""
    wide = boxes.astype(np.int64 if boxes.dtype.kind == "i" else np.float64)
    solid = (wide[:, 2] > wide[:, 0]) & (wide[:, 3] > wide[:, 1])
    places, labels = np.nonzero((scores >= min_score) & solid[:, None])
    chosen = scores[places, labels]
    order = np.argsort(-chosen.astype(np.float64), kind="stable")[: selection.max_candidates]
    places, labels = places[order], labels[order]
    kept = suppress(wide[places], labels, selection.whole_overlap, selection.max_detections)
    return Detections(boxes[places[kept]], chosen[order][kept], labels[kept].astype(np.int32))


def suppress(boxes: np.ndarray, labels: np.ndarray, whole_overlap: int, most: int) -> np.ndarray:
    """Non-maximum suppression within each class; exact for whole numbers.

    Args:
        boxes: int64 or float64 [n, 4], best first.
        labels: [n].
        whole_overlap: largest IoU that a box may have with a better one of its class, in 1/256.
        most: indices returned at most.

    Returns:
        Indices of the boxes that stay, in order.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(boxes), bool)
    kept: list[int] = []
    for i in range(len(boxes)):
        if len(kept) >= most:
            break
        if not alive[i]:
            continue
        kept.append(i)
        size = np.minimum(boxes[i, 2:], boxes[:, 2:]) - np.maximum(boxes[i, :2], boxes[:, :2])
        shared = np.prod(np.maximum(size, 0), axis=1)
        union = area + area[i] - shared
        alive &= ~((shared * FULL_OVERLAP > whole_overlap * union) & (labels == labels[i]))
    return np.array(kept, np.int64)


@dataclasses.dataclass(frozen=True)
class Int8Level:
    """A level with what its int8 outputs stand for.

    Attributes:
        level: the map.
        scores: uint16 [256], the score in 1/65535 of the stored values -128 ... 127.
        distances: uint16 [256], the distance to a side in 1/16 pixel of the same.
    """

    level: Level
    scores: np.ndarray
    distances: np.ndarray


class Int8Decoder:
    """Decodes the int8 outputs of a light detector, in whole numbers.

    Sigmoid and softplus become tables of 256 entries, so that no float is computed on the device
    and every machine finds exactly the same.

    Args:
        outputs: the output tensors of the flatbuffer, scores and boxes of each level in turn.
        image_size: (height, width) in pixels, at most 4095.
        selection: which detections to keep.

    Attributes:
        levels: one `Int8Level` for each level.

    Raises:
        UserError: these are not the outputs of a light detector.

    Example:

    >>> from micronet_mcu import read_model
    >>> model = read_model(detector)
    >>> decoder = Int8Decoder([model.tensors[index] for index in model.outputs], (32, 32))
    >>> decoder.classes, decoder.levels[0].level
    (2, Level(height=8, width=8, stride=4))
    >>> raw = [np.zeros((1, 8, 8, 2), np.int8), np.zeros((1, 8, 8, 4), np.int8)]
    >>> decoder(raw).in_pixels().boxes.shape[1]
    4
    """

    def __init__(
        self,
        outputs: Sequence[Tensor],
        image_size: tuple[int, int],
        selection: Selection = Selection(),  # noqa: B008 (frozen)
    ):
        self.image_size, self.selection = tuple(image_size), selection
        if max(self.image_size) > LARGEST_SIDE:
            raise UserError(f"images may have {LARGEST_SIDE} pixels a side, not {image_size}")
        if not outputs or len(outputs) % 2 or any(len(tensor.shape) != 4 for tensor in outputs):
            raise UserError("this is not a detector: it has no scores and boxes for every level")
        self.classes = outputs[0].shape[3]
        self.levels = []
        for scores, boxes in zip(outputs[::2], outputs[1::2], strict=True):
            height, width = scores.shape[1:3]
            if tuple(boxes.shape[1:]) != (height, width, 4) or scores.shape[3] != self.classes:
                raise UserError(
                    "this is not a light detector: it has outputs "
                    f"{[tuple(tensor.shape) for tensor in outputs]}"
                )
            level = Level(height, width, -(-self.image_size[0] // height))
            self.levels.append(_int8_level(level, scores, boxes))

    def __call__(self, outputs: Sequence[np.ndarray]) -> Detections:
        """int8 outputs of one image, [1, h, w, classes] and [1, h, w, 4] for every level."""
        boxes, scores = [], []
        limits = np.tile(np.asarray(self.image_size), 2) * PIXEL
        for item, raw_scores, raw_boxes in zip(
            self.levels, outputs[::2], outputs[1::2], strict=True
        ):
            centres = np.rint(item.level.centres() * PIXEL).astype(np.int64)
            distances = item.distances[raw_boxes.reshape(-1, 4).astype(np.int16) + 128]
            distances = distances.astype(np.int64)
            corners = [centres - distances[:, :2], centres + distances[:, 2:]]
            boxes.append(np.clip(np.concatenate(corners, axis=1), 0, limits).astype(np.int32))
            scores.append(item.scores[raw_scores.reshape(-1, self.classes).astype(np.int16) + 128])
        return select(
            np.concatenate(boxes),
            np.concatenate(scores),
            self.selection,
            self.selection.whole_score,
        )


def _int8_level(level: Level, scores: Tensor, boxes: Tensor) -> Int8Level:
    stored = np.arange(-128, 128, dtype=np.float64)

    def real(tensor: Tensor) -> np.ndarray:
        return (stored - tensor.zero_point[0]) * float(tensor.scale[0])

    probability = 1 / (1 + np.exp(-np.clip(real(scores), -80, 80)))
    distance = np.logaddexp(0, real(boxes)) * level.stride * PIXEL
    return Int8Level(
        level,
        np.rint(probability * FULL_SCORE).astype(np.uint16),
        np.rint(np.minimum(distance, FULL_SCORE)).astype(np.uint16),
    )
