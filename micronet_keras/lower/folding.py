"""Arithmetic on weights: batch norms, input normalization and padding folded into convolutions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from micronet_keras.lower.graph import Conv, Dense, DepthwiseConv, Graph

# What an int8 input of pixel - 128 stands for: (pixel - 116) / 255 / 0.226, the mean over the
# colour channels of ImageNet's normalization with a whole number in the place of 116.3, so that the
# int8 zero point is exact. The colours' differences from the mean go into the first convolution.
PIXEL_ZERO = 116
PIXEL_SCALE = 1 / (255 * 0.226)


def batch_norm_affine(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift) in float64 such that inference computes ``scale * x + shift``."""
    mean, variance = _float64(layer.moving_mean), _float64(layer.moving_variance)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * _float64(layer.gamma)
    shift = -mean * scale
    if layer.center:
        shift = shift + _float64(layer.beta)
    return scale, shift


def scaled(node: Conv | DepthwiseConv | Dense, scale: np.ndarray, shift: np.ndarray):
    """The node followed by ``scale * y + shift`` per output channel."""
    kernel = node.kernel * scale.reshape(_channel_shape(node))
    return dataclasses.replace(node, kernel=kernel, bias=node.bias * scale + shift)


def centred(kernel: np.ndarray, size: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    """The kernel [kh, kw, ...] for SAME padding that equals padding by k // 2 on both sides.

    With a stride, SAME pads less at the start than at the end. A tap of zeros at the end of the
    kernel moves the padding to where the model was trained with it; compiled C drops it again.
    """
    for axis in range(2):
        taps, step, length = kernel.shape[axis], strides[axis], size[axis]
        outputs = -(-length // step)
        extra = 0
        while max((outputs - 1) * step + taps + extra - length, 0) // 2 < taps // 2:
            extra += 1
        kernel = np.pad(kernel, [(0, extra if i == axis else 0) for i in range(kernel.ndim)])
    return kernel


def take_pixels(graph: Graph, mean: Sequence[float], std: Sequence[float]) -> None:
    """Makes a graph that takes ``(pixel / 255 - mean) / std`` take pixels, scaled by one number.

    The int8 input is then ``pixel - 128``: no work for the firmware. Exact but for the padding of
    the first convolution, which stands for grey instead of the three channels' means.

    Raises:
        ValueError: the image goes somewhere else than into convolutions.
    """
    image = graph.input
    gain = 1 / (255 * PIXEL_SCALE) / np.asarray(std)
    offset = (PIXEL_ZERO / 255 - np.asarray(mean)) / np.asarray(std)
    for node in graph.consumers()[image.name]:
        if not isinstance(node, Conv) or node.groups != 1:
            raise ValueError(
                "The image must go into ordinary convolutions for its normalization to be folded; "
                f"lower with normalization=None. Received: {node.name!r}"
            )
        bias = node.bias + np.einsum("hwio,i->o", node.kernel, offset)
        graph.replace(dataclasses.replace(node, kernel=node.kernel * gain[:, None], bias=bias))
    graph.replace(dataclasses.replace(image, pixel_scale=PIXEL_SCALE, pixel_zero=PIXEL_ZERO))


def _channel_shape(node) -> tuple[int, ...]:
    return node.kernel.shape[2:] if isinstance(node, DepthwiseConv) else (-1,)


def _float64(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)
