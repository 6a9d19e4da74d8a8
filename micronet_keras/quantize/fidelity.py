"""How near the int8 form of a graph comes to the float one, found without a flatbuffer."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from micronet_keras.lower.emit import joined_ranges
from micronet_keras.lower.graph import (
    Conv,
    ConvTranspose,
    Dense,
    DepthwiseConv,
    DYShiftMax,
    Graph,
    Node,
)
from micronet_keras.lower.tensorflow import run
from micronet_keras.quantize.quantized_graph import QuantizedGraph, prepare
from micronet_keras.tasks.figures import signal_to_noise
from micronet_mcu.errors import Doubt

# A sound int8 model has 25 dB and more; below this one that was right in float often is not.
LEAST_DECIBELS = 15.0


def measured(quantized: QuantizedGraph, images: np.ndarray) -> QuantizedGraph:
    """The quantized graph with its `signal_to_noise` on a few images.

    Args:
        quantized: without it.
        images: [n, height, width, channels], as of `micronet_keras.quantize.calibrate`.

    Warns:
        Doubt: it is below `LEAST_DECIBELS`; the likeliest reason is named.
    """
    graph, image = quantized.graph, prepare(quantized.graph, images)
    ranges = joined_ranges(graph, quantized.ranges)
    outputs = (run(graph, image), run(_with_rounded_weights(graph), image, ranges))
    expected, rounded = (np.concatenate([np.ravel(y) for y in each]) for each in outputs)
    decibels = signal_to_noise(expected, rounded)
    if decibels < LEAST_DECIBELS:
        reason = "; ".join(quantized.doubts) or (
            "nothing is odd about the images, so the model itself is sensitive to rounding: "
            "quantization-aware training (quantize_aware), or more of it, helps"
        )
        warnings.warn(
            Doubt(
                f"int8 is far from float: a signal-to-noise ratio of {decibels:.1f} dB on "
                f"{len(images)} calibration images, where {LEAST_DECIBELS:.0f} are little; {reason}"
            ),
            stacklevel=4,
        )
    return dataclasses.replace(quantized, signal_to_noise=decibels)


# The fields that become int8, and the axes that share a scale: as the converter has it.
SHARED_AXES: dict[type[Node], dict[str, tuple[int, ...]]] = {
    Conv: {"kernel": (0, 1, 2)},
    ConvTranspose: {"kernel": (0, 1, 3)},
    DepthwiseConv: {"kernel": (0, 1)},
    Dense: {"kernel": (0, 1)},
    DYShiftMax: {"squeeze_kernel": (0, 1), "kernels": (1, 2)},
}


def _with_rounded_weights(graph: Graph) -> Graph:
    result = Graph(graph.packed_classes)
    for node in graph:
        fields = SHARED_AXES.get(type(node), {})
        rounded = {name: _rounded(getattr(node, name), axes) for name, axes in fields.items()}
        result.add(dataclasses.replace(node, **rounded))
    result.outputs = list(graph.outputs)
    return result


def _rounded(kernel: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """To -127 .. 127 times a scale, one for all of `axes`."""
    scale = np.abs(kernel).max(axes, keepdims=True) / 127
    return np.rint(kernel / np.where(scale > 0, scale, 1)) * scale
