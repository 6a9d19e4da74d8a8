"""Arithmetic on weights: batch norms, input normalization and padding folded into convolutions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeGuard

import keras
import numpy as np

from micronet_keras.lower.graph import (
    Bound,
    Clip,
    Conv,
    ConvTranspose,
    Dense,
    DepthwiseConv,
    Graph,
    Node,
    Pad,
)

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


def scaled(
    node: Conv | ConvTranspose | DepthwiseConv | Dense, scale: np.ndarray, shift: np.ndarray
):
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


def affine(name: str, source: str, scale: np.ndarray, shift: np.ndarray) -> DepthwiseConv:
    """``scale * x + shift`` per channel, both [channels]: a depthwise convolution of one tap."""
    return DepthwiseConv(name, (source,), scale.reshape(1, 1, -1, 1), shift)


def is_affine(node: Node) -> TypeGuard[DepthwiseConv]:
    """Whether `node` is what `affine` makes."""
    return (
        isinstance(node, DepthwiseConv)
        and node.kernel.shape[:2] == node.strides == (1, 1)
        and node.kernel.shape[3] == 1
        and node.clip is None
    )


def fold_backward(graph: Graph) -> Graph:
    """Returns an equal graph with multiply-adds folded into the weights before them.

    So batch norms, hard sigmoids and the like vanish behind a convolution or dense layer that
    nothing else reads, and several become one.
    """
    readers = graph.consumers()
    result = Graph(graph.packed_classes)
    stored: dict[str, str] = {}

    def private(name: str) -> bool:
        return len(readers[name]) == 1 and name not in graph.outputs

    for original in graph:
        node = dataclasses.replace(original, inputs=tuple(stored[n] for n in original.inputs))
        if is_affine(node) and private(original.inputs[0]):
            scale, shift = node.kernel.ravel(), node.bias
            before, bound = result[node.inputs[0]], None
            if isinstance(before, Bound):
                source = graph[original.inputs[0]].inputs[0]
                clip = _clip_behind(before.clip, scale, shift)
                if clip is not None and private(source):
                    # clip(x) * scale + shift is a clip of x * scale + shift.
                    bound, before = before, result[before.inputs[0]]
                    bound = dataclasses.replace(bound, clip=clip)
            clipped = getattr(before, "clip", None) is not None
            if isinstance(before, Conv | ConvTranspose | DepthwiseConv | Dense) and not clipped:
                result.replace(scaled(before, scale, shift))
                if bound is not None:
                    result.replace(bound)
                stored[original.name] = node.inputs[0]
                continue
        stored[original.name] = result.add(node)
    result.outputs = [stored[name] for name in graph.outputs]
    return result


def _clip_behind(clip: Clip, scale: np.ndarray, shift: np.ndarray) -> Clip | None:
    """The ends of a clip after a multiply-add, if they are one pair around 0 for all channels."""
    if scale[0] <= 0 or (scale != scale[0]).any() or (shift != shift[0]).any():
        return None
    low, high = (float(end * scale[0] + shift[0]) for end in clip)
    return (low, high) if low <= 0 <= high else None


def fold_forward(graph: Graph, everywhere: str | None = None) -> Graph:
    """Returns an equal graph with multiply-adds folded into the weights behind them.

    Not where zeros are padded in between: they stand for something else before the multiply-add.
    The node named `everywhere` is folded all the same. Others stay convolutions of one tap.
    """
    readers = graph.consumers()
    result = graph.rebuilt()
    for name in [node.name for node in graph]:
        node = result[name]  # With what another node has left in it already.
        if not is_affine(node) or name in graph.outputs or not readers[name]:
            continue
        exact = not node.bias.any() or node.name == everywhere
        behind, paddings = [], []
        for reader in readers[name]:
            if isinstance(reader, Pad) and exact and reader.name not in graph.outputs:
                paddings.append(reader)
                behind += readers[reader.name]
            else:
                behind.append(reader)
        if all(
            isinstance(reader, Dense)
            or (isinstance(reader, Conv | DepthwiseConv) and (exact or not _pads(graph, reader)))
            for reader in behind
        ):
            for reader in paddings + behind:
                folded = result[reader.name]
                if reader in behind:
                    folded = _behind(folded, node)
                inputs = tuple(
                    node.inputs[0] if source == name else source for source in folded.inputs
                )
                result.replace(dataclasses.replace(folded, inputs=inputs))
    return result.rebuilt()


def _pads(graph: Graph, node: Conv | DepthwiseConv) -> bool:
    size = graph.shape(node.inputs[0])[:2]
    return node.padding == "same" and node.same_padding(size) != ((0, 0), (0, 0))


def _behind(node, before: DepthwiseConv):
    """The node as it is when it reads what goes into the multiply-add before it."""
    scale, shift = before.kernel.ravel(), before.bias
    kernel = node.kernel
    taps: tuple[int, ...]
    if isinstance(node, Dense):
        scales, shifts, taps = scale[:, None], shift[:, None], (0,)
    elif isinstance(node, DepthwiseConv):
        scales, shifts, taps = scale[:, None], shift[:, None], (0, 1)
    else:
        # Output channel j reads the input channels of its group.
        inputs, outputs = kernel.shape[2:]
        group = np.arange(outputs) // (outputs // node.groups)
        sources = group * inputs + np.arange(inputs)[:, None]
        scales, shifts, taps = scale[sources], shift[sources], (0, 1, 2)
    bias = node.bias + (kernel * shifts).sum(taps).ravel()
    return dataclasses.replace(node, kernel=kernel * scales, bias=bias)


def normalize(graph: Graph, mean: Sequence[float], std: Sequence[float]) -> Graph:
    """The graph that takes pixels, of one that takes ``(pixel / 255 - mean) / std``."""
    image = graph.input
    result = Graph(graph.packed_classes)
    name = f"{image.name}/normalized"
    for node in graph:
        inputs = tuple(name if source == image.name else source for source in node.inputs)
        result.add(dataclasses.replace(node, inputs=inputs))
        if node is image:
            scale = 1 / (255 * np.asarray(std, np.float64))
            shift = -np.asarray(mean, np.float64) / np.asarray(std, np.float64)
            result.add(affine(name, image.name, scale, shift))
    result.outputs = list(graph.outputs)
    return result


def leading_affine(graph: Graph) -> DepthwiseConv | None:
    """The multiply-add that alone reads the image, if there is one."""
    (*first,) = graph.consumers()[graph.input.name]
    return first[0] if len(first) == 1 and is_affine(first[0]) else None


def looks_like_pixels(node: DepthwiseConv) -> bool:
    """Whether a multiply-add of the image brings pixels, 0 to 255, into a usual range."""
    scale, shift = node.kernel.ravel(), node.bias
    with np.errstate(divide="ignore", invalid="ignore"):
        zero = -shift / scale
    return bool((scale > 0).all() and (scale <= 2).all() and ((zero >= 0) & (zero <= 255)).all())


def take_pixels(graph: Graph) -> Graph:
    """Makes the int8 input of a graph that takes pixels ``pixel - 128``: no work for the firmware.

    A multiply-add behind the image becomes the input's scale and, in what differs between the
    channels, part of the convolutions that read it. Exact but for their padding, which stands for
    the whole pixel value that is nearest to zero in the middle channel.
    """
    image, first = graph.input, leading_affine(graph)
    if first is None or not looks_like_pixels(first) or first.name in graph.outputs:
        return _with_pixels(graph, 1.0, 0)
    scale, shift = first.kernel.ravel(), first.bias
    pixel_scale = float(1 / np.mean(1 / scale))
    pixel_zero = int(np.rint(np.median(-shift / scale)))
    graph = _with_pixels(graph, pixel_scale, pixel_zero)
    scale, shift = scale / pixel_scale, scale * pixel_zero + shift
    if np.allclose(scale, 1, 1e-12) and np.allclose(shift, 0, 1e-12):
        return _without(graph, first)
    graph.replace(affine(first.name, image.name, scale, shift))
    return fold_forward(graph, everywhere=first.name)


def _without(graph: Graph, left_out: Node) -> Graph:
    """The graph whose nodes read the input of `left_out` instead of it."""
    result = Graph(graph.packed_classes)
    for node in graph:
        if node.name != left_out.name:
            inputs = tuple(
                left_out.inputs[0] if name == left_out.name else name for name in node.inputs
            )
            result.add(dataclasses.replace(node, inputs=inputs))
    result.outputs = list(graph.outputs)
    return result


def _with_pixels(graph: Graph, scale: float, zero: int) -> Graph:
    result = graph.rebuilt()
    result.replace(dataclasses.replace(graph.input, pixel_scale=scale, pixel_zero=zero))
    return result


def _channel_shape(node) -> tuple[int, ...]:
    if isinstance(node, ConvTranspose):
        return (-1, 1)
    return node.kernel.shape[2:] if isinstance(node, DepthwiseConv) else (-1,)


def _float64(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)
