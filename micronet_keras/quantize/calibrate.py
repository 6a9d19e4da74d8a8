"""Ranges of a graph's tensors, seen on sample images; quantization without training."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from micronet_keras.lower import lower
from micronet_keras.lower.emit import Range
from micronet_keras.lower.graph import Graph
from micronet_keras.lower.tensorflow import observe
from micronet_keras.quantize.quantized_graph import QuantizedGraph


def calibrate(graph: Graph, images: Iterable[np.ndarray]) -> dict[str, Range]:
    """Finds the range of every tensor that is quantized.

    The ends are the batch minima and maxima, averaged over the batches: a single outlier does not
    take the resolution of all other values.

    Args:
        graph: a lowered graph.
        images: batches [n, height, width, channels] of whole pixel values (or of what the graph
            takes, when it was lowered without normalization). A few hundred training images are
            enough.

    Returns:
        (low, high) by tensor name; low <= 0 <= high, and low < high.

    Raises:
        ValueError: there are no images, or a tensor is not finite.
    """

    @tf.function(autograph=False)
    def extremes(batch):
        return {
            name: tf.stack([tf.reduce_min(x), tf.reduce_max(x)])
            for name, x in observe(graph, batch).items()
        }

    seen: dict[str, list[np.ndarray]] = {}
    for batch in images:
        for name, ends in extremes(prepare(graph, batch)).items():
            seen.setdefault(name, []).append(ends.numpy())
    if not seen:
        raise ValueError("Calibration needs at least one batch of images. Received: none")
    ranges = {}
    for name, ends in seen.items():
        low, high = np.mean(ends, axis=0, dtype=np.float64)
        if not np.isfinite(low + high):
            raise ValueError(f"Values must be finite to be quantized. Received: {name!r} in {ends}")
        low, high = min(low, 0.0), max(high, 0.0)
        # A tensor that is always zero still needs a scale.
        ranges[name] = (low, high if high > low else low + 1e-3)
    return ranges


def post_training_quantize(
    model: keras.Model | Graph, calibration: Iterable[np.ndarray], class_names: Iterable[str] = ()
) -> QuantizedGraph:
    """Quantizes without training: the quick way, at a small cost in accuracy.

    Args:
        model: a trained Keras model, lowered as `lower` does by itself (so it takes what
            `preprocess_input` returns, or pixels if it has a Rescaling or the like at its
            beginning), or a lowered graph.
        calibration: batches of images as `calibrate` takes them.
        class_names: what the outputs mean.

    Raises:
        ValueError: as `micronet_keras.lower.lower` and `calibrate`.

    Example:

    >>> quantized = post_training_quantize(model, [images])
    >>> len(quantized.ranges) > len(list(quantized.graph)) > 0
    True
    """
    graph = model if isinstance(model, Graph) else lower(model)
    return QuantizedGraph(graph, calibrate(graph, calibration), tuple(class_names))


def prepare(graph: Graph, images: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Pixels as the graph takes them: float32, scaled as the graph's input says."""
    node = graph.input
    images = tf.cast(images, tf.float32)
    if node.pixel_scale is None:
        return images
    return (images - node.pixel_zero) * node.pixel_scale
