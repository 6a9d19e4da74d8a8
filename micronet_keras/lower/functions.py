"""The operations without weights in TensorFlow, for every builder of `emit`."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from micronet_keras.lower.graph import RELU, RELU6, Clip


def clip_by(clip: Clip | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function that bounds a tensor, in an operation that the converter fuses if there is."""
    if clip is None:
        return tf.identity
    if clip == RELU:
        return tf.nn.relu
    if clip == RELU6:
        return tf.nn.relu6
    return lambda x: tf.clip_by_value(x, *clip)


def _paddings(rows, columns) -> list[list[int]]:
    return [[0, 0], list(rows), list(columns), [0, 0]]


def _crop(x, rows, columns):
    height, width = x.shape[1] - sum(rows), x.shape[2] - sum(columns)
    return x[:, rows[0] : rows[0] + height, columns[0] : columns[0] + width, :]


def _resize_bilinear(x, factors):
    height, width = x.shape[1:3]
    return tf.image.resize(x, (height * factors[0], width * factors[1]))


def _resize_nearest(x, factors):
    size = (x.shape[1] * factors[0], x.shape[2] * factors[1])
    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=size)


# What `Builder.apply` knows. Every input is [batch, height, width, channels].
FUNCTIONS: dict[str, Callable[..., tf.Tensor]] = {
    "add": tf.add,
    "average_pool": lambda x, size, strides, padding: tf.nn.avg_pool2d(
        x, size, strides, padding.upper()
    ),
    "concatenate": lambda *xs, axis: tf.concat(xs, axis + 1),
    "crop": _crop,
    "flatten": lambda x: tf.reshape(x, [-1, x.shape[-1]]),
    "global_average_pool": lambda x: tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID"),
    "hard_swish": lambda x: x * tf.nn.relu6(x + 3.0) * (1 / 6),
    "leaky_relu": lambda x, slope: tf.nn.leaky_relu(x, slope),
    "max_pool": lambda x, size, strides, padding: tf.nn.max_pool2d(
        x, size, strides, padding.upper()
    ),
    "maximum": tf.maximum,
    "minimum": tf.minimum,
    "multiply": tf.multiply,
    "pad": lambda x, rows, columns: tf.pad(x, _paddings(rows, columns)),
    "reshape": lambda x, shape: tf.reshape(x, [-1, *shape]),
    "resize_bilinear": _resize_bilinear,
    "resize_nearest": _resize_nearest,
    "sigmoid": tf.sigmoid,
    "softmax": tf.nn.softmax,
    "subtract": tf.subtract,
    "tanh": tf.tanh,
    "transpose": lambda x, axes: tf.transpose(x, [0, *(axis + 1 for axis in axes)]),
}
