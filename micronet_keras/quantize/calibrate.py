"""Ranges of a graph's tensors, seen on sample images; quantization without training."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from micronet_keras.data import Source, eval_batches, spread
from micronet_keras.lower import lower
from micronet_keras.lower.emit import Range
from micronet_keras.lower.graph import Graph
from micronet_keras.lower.tensorflow import observe
from micronet_keras.quantize.fidelity import measured
from micronet_keras.quantize.quantized_graph import QuantizedGraph, prepare
from micronet_mcu.batches import BATCH_SIZE, batches
from micronet_mcu.errors import Doubt
from micronet_mcu.image_input import pixel_doubt

# On so many of the images the int8 model is compared with the float one.
_COMPARED = 8
# So many of a dataset's images are enough for the ranges.
_OF_A_SOURCE = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """What calibration images tell.

    Attributes:
        ranges: (low, high) by tensor name; low <= 0 <= high, and low < high.
        images: a few of them, [n, height, width, channels].
        doubts: what is odd about them, a sentence each; see `QuantizedGraph`.
    """

    ranges: dict[str, Range]
    images: np.ndarray
    doubts: tuple[str, ...]


def calibrate(graph: Graph, images: Any) -> dict[str, Range]:
    """Finds the range of every tensor that is quantized.

    The ends are the batch minima and maxima, averaged over the batches: a single outlier does not
    take the resolution of all other values.

    Args:
        graph: a lowered graph.
        images: a few hundred training images, in any form that ``model.predict`` takes: an array
            [n, height, width, channels], a list of batches, a tf.data.Dataset with or without
            labels, a tuple (images, labels), a function that yields ``[batch]`` as TensorFlow
            Lite's representative_dataset; see `micronet_mcu.batches.batches`. They are pixels, 0 to
            255, of any type (or what the model takes, when it was lowered without normalization).
            Or a `micronet_keras.data.Source`, of whose training split some hundreds are taken.

    Returns:
        (low, high) by tensor name; low <= 0 <= high, and low < high.

    Raises:
        UserError: there are no images, they are not what the model takes, or a tensor is not
            finite.

    Warns:
        Doubt: the images look like something else than what the graph takes, or are all alike.

    Example:

    >>> graph = micronet_keras.lower.lower(model)
    >>> ranges = calibrate(graph, images)
    >>> ranges == calibrate(graph, [images]) == calibrate(graph, lambda: ([x] for x in images))
    True
    """
    return look_at(graph, images).ranges


def look_at(graph: Graph, images: Any) -> Calibration:
    """`calibrate` with all that is learnt from the images; they are gone through once."""

    @tf.function(autograph=False)
    def extremes(batch):
        return {
            name: tf.stack([tf.reduce_min(x), tf.reduce_max(x)])
            for name, x in observe(graph, batch).items()
        }

    seen: dict[str, list[np.ndarray]] = {}
    kept: list[np.ndarray] = []
    watched = _Watched()
    for batch in batches_of(images, graph):
        watched.look(batch)
        kept += list(batch[: _COMPARED - len(kept)].astype(np.float32))
        for name, ends in extremes(prepare(graph, batch)).items():
            seen.setdefault(name, []).append(ends.numpy())
    ranges = {}
    for name, ends in seen.items():
        low, high = np.mean(ends, axis=0, dtype=np.float64)
        if not np.isfinite(low + high):
            raise ValueError(f"Values must be finite to be quantized. Received: {name!r} in {ends}")
        low, high = min(low, 0.0), max(high, 0.0)
        # A tensor that is always zero still needs a scale.
        ranges[name] = (low, high if high > low else low + 1e-3)
    doubts = watched.doubts(pixels=graph.input.pixel_scale is not None)
    for doubt in doubts:
        warnings.warn(Doubt(doubt), stacklevel=3)
    return Calibration(ranges, np.stack(kept), doubts)


def post_training_quantize(
    model: keras.Model | Graph, calibration: Any, class_names: Iterable[str] = ()
) -> QuantizedGraph:
    """Quantizes without training: the quick way, at a small cost in accuracy.

    Args:
        model: a trained Keras model, lowered as `lower` does by itself (so it takes what
            `preprocess_input` returns, or pixels if it has a Rescaling or the like at its
            beginning), or a lowered graph.
        calibration: images as `calibrate` takes them: whole pixels, for a model that takes what
            `preprocess_input` returns, too.
        class_names: what the outputs mean.

    Returns:
        The quantized graph; its `signal_to_noise` says how near to float it is.

    Raises:
        UserError: as `micronet_keras.lower.lower` and `calibrate`.

    Warns:
        Doubt: int8 is far from float, or the images look wrong; the likeliest reason is named.

    Example:

    >>> quantized = post_training_quantize(model, images)
    >>> quantized.signal_to_noise > 0
    True
    """
    graph = model if isinstance(model, Graph) else lower(model)
    seen = look_at(graph, calibration)
    return with_ranges(graph, seen.ranges, class_names, seen)


def with_ranges(
    graph: Graph, ranges: dict[str, Range], class_names: Iterable[str], seen: Calibration | None
) -> QuantizedGraph:
    """The quantized graph of a graph and its ranges; with what was `seen` of images, measured."""
    quantized = QuantizedGraph(graph, ranges, tuple(class_names))
    if seen is None:
        return quantized
    sample = seen.images[0]
    if graph.input.pixel_scale is not None:
        sample = np.clip(np.rint(sample), 0, 255).astype(np.uint8)
    quantized = dataclasses.replace(quantized, sample=sample.copy(), doubts=seen.doubts)
    return measured(quantized, seen.images)


def batches_of(images: Any, graph: Graph) -> Iterator[np.ndarray]:
    """Images in any form that `calibrate` takes, batch by batch."""
    if isinstance(images, Source):
        split = "train" if "train" in images.splits else next(iter(images.splits))
        few = spread(images, split, _OF_A_SOURCE)
        images = eval_batches(few, split, graph.input.shape[:2], BATCH_SIZE)
    return batches(images, graph.input.shape)


def few_of(images: Any, graph: Graph, count: int = _COMPARED) -> np.ndarray:
    """The first images; as many as are looked at for `QuantizedGraph.signal_to_noise`."""
    kept: list[np.ndarray] = []
    for batch in batches_of(images, graph):
        kept += list(batch[: count - len(kept)].astype(np.float32))
        if len(kept) == count:
            break
    return np.stack(kept)


class _Watched:
    """What is odd about images, found while they pass by."""

    def __init__(self) -> None:
        self._low, self._high, self._count = np.inf, -np.inf, 0
        self._flat = self._alike = True
        self._first: np.ndarray | None = None

    def look(self, batch: np.ndarray) -> None:
        if self._first is None:
            self._first = batch[0].copy()
        self._count += len(batch)
        self._low = min(self._low, float(batch.min()))
        self._high = max(self._high, float(batch.max()))
        self._flat = self._flat and not np.ptp(batch.reshape(len(batch), -1), axis=1).any()
        self._alike = self._alike and bool((batch == self._first).all())

    def doubts(self, pixels: bool) -> tuple[str, ...]:
        found = pixel_doubt(self._low, self._high) if pixels else ""
        if self._flat:
            found = "each has one value all over, as black frames have; give real pictures"
        elif self._alike and self._count > 1:
            found = "they are all the same picture; give different ones"
        return (f"the calibration images are odd: {found}",) if found else ()
