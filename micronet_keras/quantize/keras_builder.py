"""The lowered graph in Keras 3, on every backend, rounded as the int8 kernels will.

Part of the native engine of quantization-aware training (`micronet_keras.quantize.keras_qat`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from micronet_keras.layers import PackLevels
from micronet_keras.lower.emit import Range
from micronet_keras.lower.graph import RELU, RELU6, AveragePool, Clip, Dense
from micronet_keras.quantize.fidelity import SHARED_AXES

# Of either engine: what is left of a range after a step of training.
RANGE_DECAY = 0.99
_LAST = "channels_last"


def _clip_by(clip: Clip | None) -> Callable:
    if clip is None:
        return lambda x: x
    if clip == RELU:
        return ops.relu
    if clip == RELU6:
        return ops.relu6
    return lambda x: ops.clip(x, *clip)


def _average_pool(x, size, strides, padding):
    if padding == "valid":
        return ops.average_pool(x, size, strides, padding, _LAST)
    window = AveragePool("", (), size, strides, padding)
    rows, columns = window.same_padding(x.shape[1:3])

    def padded_mean(x):
        x = ops.pad(x, ((0, 0), rows, columns, (0, 0)))
        return ops.average_pool(x, size, strides, "valid", _LAST)

    # Keras' own "same" counts the zeros around the map in torch, and does not elsewhere.
    return padded_mean(x) / padded_mean(ops.ones((1, *x.shape[1:3], 1)))


def _crop(x, rows, columns):
    height, width = x.shape[1:3]
    return x[:, rows[0] : height - rows[1], columns[0] : width - columns[1], :]


def _resize_bilinear(x, factors):
    height, width = x.shape[1:3]
    size = (height * factors[0], width * factors[1])
    return ops.image.resize(x, size, interpolation="bilinear", data_format=_LAST)


# What `Builder.apply` knows, as `micronet_keras.lower.functions.FUNCTIONS` computes it.
FUNCTIONS: dict[str, Callable] = {
    "add": ops.add,
    "average_pool": _average_pool,
    "concatenate": lambda *xs, axis: ops.concatenate(xs, axis + 1),
    "crop": _crop,
    "flatten": lambda x: ops.reshape(x, (-1, x.shape[-1])),
    "global_average_pool": lambda x: ops.mean(x, axis=(1, 2), keepdims=True),
    "hard_swish": ops.hard_silu,
    "leaky_relu": lambda x, slope: ops.leaky_relu(x, slope),
    "max_pool": lambda x, size, strides, padding: ops.max_pool(x, size, strides, padding, _LAST),
    "maximum": ops.maximum,
    "minimum": ops.minimum,
    "multiply": ops.multiply,
    "pad": lambda x, rows, columns: ops.pad(x, ((0, 0), rows, columns, (0, 0))),
    "reshape": lambda x, shape: ops.reshape(x, (-1, *shape)),
    "resize_bilinear": _resize_bilinear,
    "resize_nearest": lambda x, factors: ops.repeat(ops.repeat(x, factors[0], 1), factors[1], 2),
    "sigmoid": ops.sigmoid,
    "softmax": ops.softmax,
    "subtract": ops.subtract,
    "tanh": ops.tanh,
    "transpose": lambda x, axes: ops.transpose(x, (0, *(axis + 1 for axis in axes))),
}


class RoundedRange(keras.layers.Layer):
    """Asymmetric 8-bit rounding whose range starts calibrated and follows the training slowly.

    The ends are not trained by their gradient: what an optimizer's rate does to them would depend
    on the range, and the step that moves one moves the meaning of all 256 values.
    """

    def __init__(self, tensor: str, ends: Range, follow: bool):
        super().__init__(name=_layer_name(tensor, "range"), dtype="float32")
        self.tensor, self.follow = tensor, follow
        self.low, self.high = (
            self.add_weight(
                (),
                keras.initializers.Constant(end),
                trainable=False,
                aggregation="mean",
                name=name,
            )
            for name, end in zip(("low", "high"), ends, strict=True)
        )

    def call(self, inputs, training=False):
        if training and self.follow:
            for end, seen in (
                (self.low, ops.minimum(ops.min(inputs), 0.0)),
                (self.high, ops.maximum(ops.max(inputs), 0.0)),
            ):
                seen = ops.stop_gradient(seen)
                end.assign(end.value - (end.value - seen) * (1 - RANGE_DECAY))
        return keras.quantizers.fake_quant_with_min_max_vars(
            inputs, self.low.value, self.high.value
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def range(self) -> Range:
        """(low, high) as they are now."""
        low, high = (float(keras.ops.convert_to_numpy(end)) for end in (self.low, self.high))
        return low, high


class Weighted(keras.layers.Layer):
    """A function of a tensor and of a kernel that is rounded as the converter rounds it later.

    The rounding is symmetric, to -127 .. 127, with one scale for all of the axes `shared`. It is
    written out, for `fake_quant_with_min_max_vars` makes NaN of a channel of zeros, and outside of
    TensorFlow knows no other axis than the last.
    """

    def __init__(
        self,
        tensor: str,
        function: Callable,
        kernel: np.ndarray,
        bias: np.ndarray,
        shared: tuple[int, ...],
        clip: Clip | None = None,
    ):
        super().__init__(name=_layer_name(tensor), dtype="float32")
        self.tensor = tensor
        self._function, self._activation, self._shared = function, _clip_by(clip), shared
        self.kernel = self.add_weight(kernel.shape, "zeros", name="kernel")
        self.bias = self.add_weight(bias.shape, "zeros", name="bias")
        self.kernel.assign(kernel)
        self.bias.assign(bias)

    def rounded(self):
        """The kernel as it is in int8."""
        kernel = ops.convert_to_tensor(self.kernel)
        scale = ops.max(ops.abs(kernel), self._shared, keepdims=True) / 127.0
        rounded = ops.round(ops.divide_no_nan(kernel, scale)) * scale
        return kernel + ops.stop_gradient(rounded - kernel)

    def call(self, inputs):
        return self._activation(self._function(inputs, self.rounded()) + self.bias)

    def weights_now(self) -> tuple[np.ndarray, np.ndarray]:
        """(kernel, bias), not rounded."""
        return ops.convert_to_numpy(self.kernel), ops.convert_to_numpy(self.bias)


class _Gather(keras.layers.Layer):
    """Channels in another order, or some of them.

    The gradient of a general gather is a scatter, many times slower than the gather that it is
    where all channels are there.
    """

    def __init__(self, indices: np.ndarray):
        super().__init__(dtype="float32")
        self._indices, self._inverse = indices.tolist(), np.argsort(indices).tolist()

    def call(self, inputs):
        if len(self._indices) != inputs.shape[-1]:
            return ops.take(inputs, self._indices, -1)

        @ops.custom_gradient
        def permute(x):
            def gradient(*args, upstream=None):
                return ops.take(args[0] if upstream is None else upstream, self._inverse, -1)

            return ops.take(x, self._indices, -1), gradient

        return permute(inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], len(self._indices))


def _conv(node) -> Callable:
    if node.groups == 1 or node.kernel.shape[:2] != (1, 1) or node.strides != (1, 1):
        return lambda x, kernel: ops.conv(
            x, kernel, node.strides, node.padding, _LAST, node.dilations
        )
    # As one matrix with zeros: TensorFlow's own takes many times as long on a CPU.
    rows, columns = node.kernel.shape[2:]
    group_of_row = np.arange(rows * node.groups) // rows
    group_of_column = np.arange(columns) // (columns // node.groups)
    inside = (group_of_row[:, None] == group_of_column).astype("float32")
    return lambda x, kernel: ops.matmul(x, ops.tile(kernel[0, 0], (node.groups, 1)) * inside)


def _dense(x, kernel):
    inputs, outputs = kernel.shape
    return ops.reshape(ops.matmul(ops.reshape(x, (-1, inputs)), kernel), (-1, 1, 1, outputs))


def _layer_name(*parts: str) -> str:
    # Neither Keras takes a slash in it, nor torch a point.
    return "__".join(parts).replace("/", "__").replace("*", "_times_").replace(".", "_")


class KerasBuilder:
    """See `micronet_keras.lower.emit.Builder`."""

    def __init__(self, ranges: Mapping[str, Range]):
        self._ranges = ranges
        self.image: keras.KerasTensor | None = None

    def _rounded(self, name, x, fixed=None):
        return RoundedRange(name, fixed or self._ranges[name], follow=fixed is None)(x)

    def _weighted(self, node, function, x, clip=None):
        shared = SHARED_AXES[type(node)]["kernel"]
        layer = Weighted(node.name, function, node.kernel, node.bias, shared, clip)
        return self._rounded(node.name, layer(x))

    def scope(self, name):
        return contextlib.nullcontext()

    def input(self, name, shape, fixed):
        self.image = keras.Input(shape, dtype="float32", name=_layer_name(name))
        return self._rounded(name, self.image, fixed)

    def conv(self, node, x):
        return self._weighted(node, _conv(node), x, node.clip)

    def conv_transpose(self, node, x):
        def function(x, kernel):
            return ops.conv_transpose(x, kernel, node.strides, node.padding, None, _LAST)

        return self._weighted(node, function, x)

    def depthwise(self, node, x):
        def function(x, kernel):
            return ops.depthwise_conv(x, kernel, node.strides, node.padding, _LAST)

        return self._weighted(node, function, x, node.clip)

    def dense(self, name, x, kernel, bias, clip=None, fixed=None):
        layer = Weighted(name, _dense, kernel, bias, SHARED_AXES[Dense]["kernel"], clip)
        return self._rounded(name, layer(x), fixed)

    def gather(self, x, indices):
        return _Gather(indices)(x)

    def bound(self, name, x, clip):
        return self._rounded(name, _clip_by(clip)(x))

    def apply(self, name, function, *inputs, clip=None, fixed=None, **settings: Any):
        y = _clip_by(clip)(FUNCTIONS[function](*inputs, **settings))
        return y if name is None else self._rounded(name, y, fixed)

    def pack(self, outputs, classes):
        """Scores and boxes of a detector's levels as one tensor."""
        return PackLevels(classes, name="packed", dtype="float32")(outputs)
