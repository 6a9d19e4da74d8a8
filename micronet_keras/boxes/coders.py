"""Where a detector predicts, what its raw box outputs mean, and which object each place is for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from micronet_keras.boxes import arithmetic
from micronet_mcu.decode.detection import Detections, Level, Selection, select

BACKGROUND = -1
IGNORED = -2

_FAR = 1e9


class Coder:
    """What the raw box outputs of a detector mean: `PointCoder` or `AnchorCoder`.

    Known to Keras, so that losses and metrics that hold one can be saved.

    Attributes:
        levels: the maps, finest first.
        per_place: boxes for each place of a map.
    """

    per_place: int

    def __init__(self, levels: Sequence[Level]):
        self.levels = tuple(levels)

    def decode(self, raw):
        """Raw outputs [..., places, 4] -> boxes [..., places, 4] in pixels, not clipped."""
        raise NotImplementedError

    def assign(self, boxes, valid):
        """For every place the number of the object that it is for, see the subclasses."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """The arguments; levels as (height, width, stride)."""
        return {"levels": [dataclasses.astuple(level) for level in self.levels]}

    @classmethod
    def from_config(cls, config: dict):
        """The coder of a `get_config`."""
        return cls(**{**config, "levels": [Level(*level) for level in config["levels"]]})


@keras.saving.register_keras_serializable("micronet_keras")
class PointCoder(Coder):
    """Anchor-free: a place tells the distances from itself to the four sides of its object.

    distance = softplus(raw) * stride. Softplus is positive, and nearly linear where objects are
    larger than a stride: an int8 step is then the same fraction of a stride for small and large
    objects (with FCOS' exponential it grows with the object). Source: FCOS (Tian et al., ICCV
    2019), with its centre sampling.

    Args:
        levels: the maps, finest first. Places are numbered level by level, row by row.
        largest: an object belongs to the first level whose stride times this is at least its longer
            side, or else to the last.
        radius: places within this many strides of an object's centre (and inside it) are for it.

    Example:

    >>> coder = PointCoder([Level(height=16, width=16, stride=8)])
    >>> coder.decode(np.zeros((1, 256, 4), "float32")).shape
    TensorShape([1, 256, 4])
    """

    per_place = 1

    def __init__(self, levels: Sequence[Level], largest: float = 6.0, radius: float = 1.5):
        super().__init__(levels)
        self.largest, self.radius = largest, radius
        self._centres = np.concatenate([level.centres() for level in self.levels])
        self._strides = _per_place(self.levels, [level.stride for level in self.levels])
        ends = [level.stride * largest for level in self.levels[:-1]]
        self._smallest = _per_place(self.levels, [0.0, *ends])
        self._largest = _per_place(self.levels, [*ends, math.inf])

    def decode(self, raw):
        """See `Coder`."""
        centres = ops.convert_to_tensor(self._centres)
        distances = ops.softplus(raw) * ops.convert_to_tensor(self._strides[:, None])
        return ops.concatenate(
            [centres - distances[..., :2], centres + distances[..., 2:]], axis=-1
        )

    def assign(self, boxes, valid):
        """For every place the object that it is for.

        A place is for an object when it lies inside it, near its centre, and on the level for its
        size; the place nearest to the centre is so in any case. Of several objects the smallest
        wins.

        Args:
            boxes: [batch, objects, 4] in pixels.
            valid: bool [batch, objects]; the others are padding.

        Returns:
            int32 [batch, places]: number of the object, or `BACKGROUND`.
        """
        centres = ops.convert_to_tensor(self._centres[:, None])
        reach = ops.convert_to_tensor(self.radius * self._strides[:, None])
        boxes, valid = ops.convert_to_tensor(boxes), ops.convert_to_tensor(valid)
        target = boxes[:, None]
        start, end = centres - target[..., :2], target[..., 2:] - centres
        inside = ops.min(ops.minimum(start, end), axis=-1) > 0
        longest = ops.max(boxes[..., 2:] - boxes[..., :2], axis=-1)[:, None]
        smallest, largest = self._smallest[:, None], self._largest[:, None]
        on_level = ops.greater(longest, smallest) & ops.less_equal(longest, largest)
        away = (start - end) / 2
        near = ops.max(ops.abs(away), axis=-1) < reach
        distance = ops.where(on_level, ops.sum(ops.square(away), axis=-1), _FAR)
        nearest = ops.argmin(distance, axis=1)
        forced = ops.arange(len(self._centres))[None, :, None] == nearest[:, None]
        wanted = ((inside & near & on_level) | forced) & valid[:, None]
        cost = ops.where(wanted, arithmetic.area(boxes)[:, None], np.inf)
        best = ops.cast(ops.argmin(cost, axis=-1), "int32")
        return ops.where(ops.any(wanted, axis=-1), best, BACKGROUND)

    def get_config(self):
        return {**super().get_config(), "largest": self.largest, "radius": self.radius}


@keras.saving.register_keras_serializable("micronet_keras")
class AnchorCoder(Coder):
    """RetinaNet: nine anchor boxes at every place, moved and stretched by the raw outputs.

    With an anchor's centre (y, x) and size (h, w) the raw (dy, dx, dh, dw) stand for the centre
    (y + h * dy, x + w * dx) and the size (h * exp(dh), w * exp(dw)). Source: RetinaNet (Lin et al.,
    ICCV 2017): areas of (4 * stride)^2 times 1, 2^(2/3), 2^(4/3), heights to widths of 1/2, 1, 2;
    an anchor is for an object at an IoU of 0.5, for the background below 0.4, ignored between; each
    object's best anchor is for it in any case.

    Args:
        levels: the maps, finest first; anchors are numbered level by level, row by row.
        positive: an anchor with at least this IoU is for the object.
        negative: one with less than this is for the background.
    """

    scales = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    ratios = (0.5, 1.0, 2.0)
    per_place = len(scales) * len(ratios)

    def __init__(self, levels: Sequence[Level], positive: float = 0.5, negative: float = 0.4):
        super().__init__(levels)
        self.positive, self.negative = positive, negative
        self.anchors = np.concatenate([self._level_anchors(level) for level in self.levels])
        self._size = self.anchors[:, 2:] - self.anchors[:, :2]
        self._centres = (self.anchors[:, 2:] + self.anchors[:, :2]) / 2

    def _level_anchors(self, level: Level) -> np.ndarray:
        half = np.array(
            [
                [2 * level.stride * scale * math.sqrt(ratio) ** sign for sign in (1, -1)]
                for scale in self.scales
                for ratio in self.ratios
            ]
        )
        centres = level.centres()[:, None]
        corners = np.concatenate([centres - half, centres + half], axis=-1)
        return corners.reshape(-1, 4).astype("float32")

    def decode(self, raw):
        """See `Coder`."""
        size = ops.convert_to_tensor(self._size)
        centres = ops.convert_to_tensor(self._centres) + raw[..., :2] * size
        # As in Detectron: a wild output early in training must not overflow.
        half = ops.exp(ops.minimum(raw[..., 2:], math.log(1000 / 16))) * size / 2
        return ops.concatenate([centres - half, centres + half], axis=-1)

    def assign(self, boxes, valid):
        """For every anchor the object that it is for: as `PointCoder.assign`, or `IGNORED`."""
        boxes, valid = ops.convert_to_tensor(boxes), ops.convert_to_tensor(valid)
        anchors = ops.convert_to_tensor(self.anchors)
        overlap = ops.where(valid[:, None], arithmetic.pairwise_iou(anchors, boxes), -1.0)
        best = ops.max(overlap, axis=-1)
        chosen = ops.cast(ops.argmax(overlap, axis=-1), "int32")
        matched = ops.where(best >= self.negative, IGNORED, BACKGROUND)
        matched = ops.where(best >= self.positive, chosen, matched)
        best_anchor = ops.argmax(overlap, axis=1)
        forced = ops.arange(len(self.anchors))[None, :, None] == best_anchor[:, None]
        forced = forced & valid[:, None]
        forced_object = ops.cast(ops.argmax(ops.cast(forced, "int32"), axis=-1), "int32")
        return ops.where(ops.any(forced, axis=-1), forced_object, matched)

    def get_config(self):
        return {**super().get_config(), "positive": self.positive, "negative": self.negative}


def decode(packed: np.ndarray, coder: Coder, selection: Selection, image_size) -> list[Detections]:
    """Detections of a batch of float outputs.

    Args:
        packed: float [batch, places, classes + 4], as `MicroNetObjectDetector` gives.
        coder: what the raw boxes mean.
        selection: which to keep.
        image_size: (height, width) in pixels; boxes are clipped to it.
    """
    decoded = keras.ops.convert_to_numpy(coder.decode(np.asarray(packed[..., -4:], np.float32)))
    limits = np.tile(np.asarray(image_size, np.float32), 2)
    results = []
    for logits, boxes in zip(packed[..., :-4], decoded, strict=True):
        scores = (1 / (1 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32)
        boxes = np.clip(boxes, 0, limits)
        results.append(select(boxes, scores, selection, float(np.float32(selection.min_score))))
    return results


def _per_place(levels: Sequence[Level], values: Sequence[float]) -> np.ndarray:
    counts = [level.height * level.width for level in levels]
    return np.repeat(np.asarray(values, "float32"), counts)
