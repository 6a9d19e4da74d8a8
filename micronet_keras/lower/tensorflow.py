"""The graph in plain TensorFlow: to run it, to observe its tensors, and to convert it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from micronet_keras.lower.emit import Range, emit
from micronet_keras.lower.graph import Graph


def run(
    graph: Graph, image: tf.Tensor, ranges: Mapping[str, Range] | None = None
) -> list[tf.Tensor]:
    """Computes the outputs of `graph`.

    Args:
        graph: a lowered graph.
        image: float32 [batch, height, width, 3], as the graph's input node describes it.
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


class _TensorFlowBuilder:
    """See `micronet_keras.lower.emit.Builder`."""

    def __init__(self, image: tf.Tensor, ranges: Mapping[str, Range] | None):
        self._image = image
        self._ranges = ranges
        self.calibrated: dict[str, tf.Tensor] = {}

    def scope(self, name):
        # With a slash at its end a scope is taken as it is, not within or beside another.
        return tf.name_scope(scope_text(name) + "/")

    def _quantized(self, name, x, fixed=None):
        if fixed is None:
            self.calibrated[name] = x
        if self._ranges is None:
            return x if fixed is None else tf.clip_by_value(x, *fixed)
        low, high = fixed or self._ranges[name]
        return tf.quantization.fake_quant_with_min_max_args(x, min=low, max=high)

    def input(self, name, shape, fixed):
        return self._quantized(name, self._image, fixed)

    def conv(self, name, x, kernel, bias, strides, groups, relu6):
        y = tf.nn.conv2d(x, _constant(kernel), strides, "SAME") + _constant(bias)
        return self._quantized(name, tf.nn.relu6(y) if relu6 else y)

    def depthwise(self, name, x, kernel, bias, strides, relu6):
        y = tf.nn.depthwise_conv2d(x, _constant(kernel), [1, *strides, 1], "SAME")
        y = y + _constant(bias)
        return self._quantized(name, tf.nn.relu6(y) if relu6 else y)

    def dense(self, name, x, kernel, bias, relu=False, fixed=None):
        y = tf.matmul(tf.reshape(x, [-1, kernel.shape[0]]), _constant(kernel)) + _constant(bias)
        y = self._quantized(name, tf.nn.relu(y) if relu else y, fixed)
        return tf.reshape(y, [-1, 1, 1, kernel.shape[1]])

    def gather(self, x, indices):
        return tf.gather(x, tf.constant(indices, tf.int32), axis=3)

    def pool(self, x):
        return tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID")

    def resize_bilinear(self, x, factors):
        height, width = x.shape[1:3]
        return tf.image.resize(x, (height * factors[0], width * factors[1]))

    def mul(self, name, x, y):
        return self._quantized(name, x * y)

    def add(self, name, x, y, relu6):
        total = tf.nn.relu6(x + y) if relu6 else x + y
        return total if name is None else self._quantized(name, total)

    def maximum(self, name, x, y):
        return self._quantized(name, tf.maximum(x, y))

    def hard_swish(self, name, x):
        return self._quantized(name, x * tf.nn.relu6(x + 3.0) * (1 / 6))

    def softmax(self, name, x):
        return self._quantized(name, tf.nn.softmax(x), (0.0, 255 / 256))

    def flatten(self, x):
        return tf.reshape(x, [-1, x.shape[-1]])


def scope_text(name: str) -> str:
    """A node's name as TensorFlow takes it for a scope: other characters become underscores."""
    text = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name).strip("/")
    return text if re.match("[A-Za-z0-9.]", text) else f"layer{text}"


def _constant(array: np.ndarray) -> tf.Tensor:
    return tf.constant(array, tf.float32)
