"""The graph in plain TensorFlow: to run it, to observe its tensors, and to convert it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from micronet_keras.lower.emit import Range, emit
from micronet_keras.lower.functions import FUNCTIONS, clip_by
from micronet_keras.lower.graph import RELU, RELU6, Graph


def run(
    graph: Graph, image: tf.Tensor, ranges: Mapping[str, Range] | None = None
) -> list[tf.Tensor]:
    """Computes the outputs of `graph`.

    Args:
        graph: a lowered graph.
        image: float32 [batch, height, width, channels], as the graph's input node describes it.
        ranges: the (low, high) of every quantized tensor. None computes in float; otherwise every
            named tensor is rounded to 8 bits as in the int8 flatbuffer (weights stay float).

    Returns:
        One tensor for each of ``graph.outputs``.
    """
    return emit(graph, _TensorFlowBuilder(image, ranges))


def observe(graph: Graph, image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Computes in float and returns every tensor that needs a calibrated range, by name."""
    builder = _TensorFlowBuilder(image, None)
    emit(graph, builder)
    return builder.calibrated


def run_with(
    graph: Graph,
    image: tf.Tensor,
    chosen: tf.Tensor,
    ranges: Mapping[str, Range],
    kernels: Mapping[str, np.ndarray],
) -> list[tf.Tensor]:
    """`run` in float, but for one tensor.

    Args:
        graph, image: as of `run`.
        chosen: its number, in a tf.function so that one trace serves all: first those of `ranges`
            in their order, which are rounded, then those of `kernels`.
        ranges: (low, high) by the tensor's name.
        kernels: other weights, by the name that `emit` gives a builder.
    """
    return emit(graph, _ChangingOne(image, chosen, ranges, kernels))


class _TensorFlowBuilder:
    """See `micronet_keras.lower.emit.Builder`."""

    def __init__(self, image: tf.Tensor, ranges: Mapping[str, Range] | None):
        self._image = image
        self._ranges = ranges
        self.calibrated: dict[str, tf.Tensor] = {}

    def scope(self, name):
        # With a slash at its end a scope is taken as it is, not within or beside another.
        return tf.name_scope(scope_text(name) + "/")

    def _quantized(self, name, x, clip=None, fixed=None):
        if self._ranges is None:
            x = clip_by(clip)(x)
            if fixed is None:
                self.calibrated[name] = x
            return x
        low, high = fixed or self._ranges[name]
        if clip in (RELU, RELU6):
            x = clip_by(clip)(x)
        elif clip is not None:
            # The ends of the range are the bounds.
            low, high = max(low, clip[0]), min(high, clip[1])
        return tf.quantization.fake_quant_with_min_max_args(x, min=low, max=high)

    def _kernel(self, name, kernel):
        return _constant(kernel)

    def input(self, name, shape, fixed):
        return self._quantized(name, self._image, fixed=fixed)

    def conv(self, node, x):
        y = tf.nn.conv2d(
            x,
            self._kernel(node.name, node.kernel),
            node.strides,
            node.padding.upper(),
            dilations=node.dilations,
        )
        return self._quantized(node.name, y + _constant(node.bias), node.clip)

    def conv_transpose(self, node, x):
        shape = (tf.shape(x)[0], *node.shape_of(tuple(x.shape[1:])))
        y = tf.nn.conv2d_transpose(
            x, self._kernel(node.name, node.kernel), shape, node.strides, node.padding.upper()
        )
        return self._quantized(node.name, y + _constant(node.bias))

    def depthwise(self, node, x):
        strides = [1, *node.strides, 1]
        kernel = self._kernel(node.name, node.kernel)
        y = tf.nn.depthwise_conv2d(x, kernel, strides, node.padding.upper())
        return self._quantized(node.name, y + _constant(node.bias), node.clip)

    def dense(self, name, x, kernel, bias, clip=None, fixed=None):
        y = tf.matmul(tf.reshape(x, [-1, kernel.shape[0]]), self._kernel(name, kernel))
        y = y + _constant(bias)
        y = self._quantized(name, y, clip, fixed)
        return tf.reshape(y, [-1, 1, 1, kernel.shape[1]])

    def gather(self, x, indices):
        return tf.gather(x, tf.constant(indices, tf.int32), axis=3)

    def bound(self, name, x, clip):
        # TFLM requantizes in a RELU, but not in a RELU6: the range makes one of the other.
        if self._ranges is not None and clip[0] == 0:
            x = tf.nn.relu(x)
        return self._quantized(name, x, (clip[0], clip[1]) if self._ranges is None else None)

    def apply(self, name, function, *inputs, clip=None, fixed=None, **settings):
        y = FUNCTIONS[function](*inputs, **settings)
        return clip_by(clip)(y) if name is None else self._quantized(name, y, clip, fixed)


class _ChangingOne(_TensorFlowBuilder):
    """See `run_with`."""

    def __init__(self, image, chosen, ranges, kernels):
        super().__init__(image, None)
        self._chosen, self._rounded, self._kernels = chosen, ranges, kernels
        names = [*((name, "range") for name in ranges), *((name, "kernel") for name in kernels)]
        self._places = {name: place for place, name in enumerate(names)}

    def _quantized(self, name, x, clip=None, fixed=None):
        x = super()._quantized(name, x, clip, fixed)
        if name not in self._rounded:
            return x
        low, high = self._rounded[name]
        rounded = tf.quantization.fake_quant_with_min_max_args(x, min=low, max=high)
        return tf.where(self._chosen == self._places[name, "range"], rounded, x)

    def _kernel(self, name, kernel):
        own = super()._kernel(name, kernel)
        if name not in self._kernels:
            return own
        other = _constant(self._kernels[name])
        return tf.where(self._chosen == self._places[name, "kernel"], other, own)


def scope_text(name: str) -> str:
    """A node's name as TensorFlow takes it for a scope: other characters become underscores."""
    text = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name).strip("/")
    return text if re.match("[A-Za-z0-9.]", text) else f"layer{text}"


def _constant(array: np.ndarray) -> tf.Tensor:
    return tf.constant(array, tf.float32)
