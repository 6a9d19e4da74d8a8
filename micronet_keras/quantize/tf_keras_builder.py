"""The lowered graph in tf_keras layers, in tfmot wrappers that round as the int8 kernels will.

Part of quantization-aware training (`micronet_keras.quantize.qat`); nothing else imports it.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import tensorflow as tf

from micronet_keras.layers import PackLevels
from micronet_keras.lower.emit import Range
from micronet_keras.lower.functions import FUNCTIONS, clip_by
from micronet_keras.lower.graph import Clip
from micronet_keras.quantize.keras_builder import RANGE_DECAY
from micronet_keras.quantize.legacy_keras import tf_keras, tfmot


class _WeightQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """Symmetric rounding to -127 .. 127, exactly as the converter rounds the weights later.

    `channel_axes` have a scale each; none means one scale for the whole tensor.
    """

    def __init__(self, channel_axes: tuple[int, ...]):
        self.channel_axes = channel_axes

    def build(self, tensor_shape, name, layer):
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        rank = len(inputs.shape)
        axes = [axis for axis in range(rank) if axis not in self.channel_axes]
        scale = tf.reduce_max(tf.abs(inputs), axes, keepdims=True) / 127.0
        rounded = tf.round(tf.math.divide_no_nan(inputs, scale)) * scale
        return inputs + tf.stop_gradient(rounded - inputs)

    def get_config(self):
        return {"channel_axes": self.channel_axes}


class RangeQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """Asymmetric 8-bit rounding whose range starts calibrated and follows the training slowly."""

    def __init__(self, low: float, high: float, follow: bool):
        self.low, self.high, self.follow = low, high, follow

    def build(self, tensor_shape, name, layer):
        def end(suffix, value):
            return layer.add_weight(
                name=f"{name}_{suffix}",
                initializer=tf_keras.initializers.Constant(value),
                trainable=False,
            )

        self._ends = {"low": end("low", self.low), "high": end("high", self.high)}
        return self._ends

    def __call__(self, inputs, training, weights, **kwargs):
        low, high = weights["low"], weights["high"]
        if training and self.follow:
            seen_low = tf.minimum(tf.reduce_min(inputs), 0.0)
            seen_high = tf.maximum(tf.reduce_max(inputs), 0.0)
            low = low.assign_sub((low - seen_low) * (1 - RANGE_DECAY))
            high = high.assign_sub((high - seen_high) * (1 - RANGE_DECAY))
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def range(self) -> Range:
        """(low, high) as they are now."""
        return float(self._ends["low"]), float(self._ends["high"])

    def get_config(self):
        return {"low": self.low, "high": self.high, "follow": self.follow}


class _QuantizeConfig(tfmot.quantization.keras.QuantizeConfig):
    """Which of a layer's tensors are rounded, and how."""

    def __init__(self, kernel: str | None, channel_axes: tuple[int, ...], output):
        self.kernel, self.channel_axes, self.output = kernel, channel_axes, output

    def get_weights_and_quantizers(self, layer):
        if self.kernel is None:
            return []
        return [(getattr(layer, self.kernel), _WeightQuantizer(self.channel_axes))]

    def set_quantize_weights(self, layer, quantize_weights):
        if self.kernel is not None:
            setattr(layer, self.kernel, quantize_weights[0])

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [self.output] if self.output else []

    def get_config(self):
        return {"kernel": self.kernel, "channel_axes": self.channel_axes, "output": self.output}


class _Gather(tf_keras.layers.Layer):
    def __init__(self, indices: np.ndarray):
        super().__init__()
        self._indices = indices.tolist()
        self._inverse = np.argsort(indices).tolist()

    def call(self, inputs):
        if len(self._indices) != inputs.shape[3]:
            return tf.gather(inputs, self._indices, axis=3)

        # TensorFlow's own gradient of a gather is a scatter, many times slower than a gather.
        @tf.custom_gradient
        def permute(x):
            return tf.gather(x, self._indices, axis=3), lambda dy: tf.gather(
                dy, self._inverse, axis=3
            )

        return permute(inputs)


class _Pack(tf_keras.layers.Layer):
    """`PackLevels`, for losses that look at all levels."""

    def __init__(self, classes: int):
        super().__init__(name="packed")
        self._classes = classes

    def call(self, inputs):
        return PackLevels(self._classes)(inputs)


class _Function(tf_keras.layers.Layer):
    """A function of `FUNCTIONS` with its settings, then a clip."""

    def __init__(self, function: str, settings: dict[str, Any], clip: Clip | None):
        super().__init__()
        self._function, self._settings, self._clip = function, settings, clip

    def call(self, inputs):
        inputs = inputs if isinstance(inputs, list | tuple) else [inputs]
        return clip_by(self._clip)(FUNCTIONS[self._function](*inputs, **self._settings))


def _layer_name(name: str) -> str:
    return "quantized_" + name.replace("/", ".").replace("*", "_times_")


class TfKerasBuilder:
    """See `micronet_keras.lower.emit.Builder`."""

    def __init__(self, ranges: dict[str, Range]):
        self._ranges = ranges
        self.range_quantizers: dict[str, RangeQuantizer] = {}
        self.trained: dict[str, tuple[tf.Variable, tf.Variable]] = {}
        self.image: tf.Tensor | None = None

    def _wrapped(
        self, name, layer, inputs, *, kernel=None, channel_axes=(), fixed=None, weights=()
    ):
        output = None
        if name is not None:
            output = RangeQuantizer(*(fixed or self._ranges[name]), follow=fixed is None)
            if fixed is None:
                self.range_quantizers[name] = output
        config = _QuantizeConfig(kernel, channel_axes, output)
        wrapper = tfmot.quantization.keras.QuantizeWrapperV2(
            layer, config, name=_layer_name(name) if name else None
        )
        if kernel is not None:
            # The wrapper puts the rounded tensor in the place of the kernel: keep the variable.
            layer.build(inputs.shape)
            self.trained[name] = (getattr(layer, kernel), layer.bias)
            for variable, value in zip(self.trained[name], weights, strict=True):
                variable.assign(value)
        return wrapper(inputs)

    def scope(self, name):
        return contextlib.nullcontext()

    def input(self, name, shape, fixed):
        self.image = tf_keras.Input(shape)
        return self._wrapped(name, tf_keras.layers.Activation("linear"), self.image, fixed=fixed)

    def conv(self, node, x):
        layer = tf_keras.layers.Conv2D(
            node.kernel.shape[3],
            node.kernel.shape[:2],
            node.strides,
            node.padding,
            dilation_rate=node.dilations,
            groups=node.groups,
            activation=clip_by(node.clip),
        )
        weights = (node.kernel, node.bias)
        return self._wrapped(
            node.name, layer, x, kernel="kernel", channel_axes=(3,), weights=weights
        )

    def conv_transpose(self, node, x):
        layer = tf_keras.layers.Conv2DTranspose(
            node.kernel.shape[2], node.kernel.shape[:2], node.strides, node.padding
        )
        weights = (node.kernel, node.bias)
        return self._wrapped(
            node.name, layer, x, kernel="kernel", channel_axes=(2,), weights=weights
        )

    def depthwise(self, node, x):
        layer = tf_keras.layers.DepthwiseConv2D(
            node.kernel.shape[:2],
            node.strides,
            node.padding,
            depth_multiplier=node.kernel.shape[3],
            activation=clip_by(node.clip),
        )
        weights = (node.kernel, node.bias)
        return self._wrapped(
            node.name, layer, x, kernel="depthwise_kernel", channel_axes=(2, 3), weights=weights
        )

    def dense(self, name, x, kernel, bias, clip=None, fixed=None):
        layer = tf_keras.layers.Dense(kernel.shape[1], activation=clip_by(clip))
        return self._wrapped(name, layer, x, kernel="kernel", fixed=fixed, weights=(kernel, bias))

    def gather(self, x, indices):
        return _Gather(indices)(x)

    def bound(self, name, x, clip):
        return self._wrapped(name, tf_keras.layers.Activation(clip_by(clip)), x)

    def apply(self, name, function, *inputs, clip=None, fixed=None, **settings):
        layer = _Function(function, settings, clip)
        taken = inputs[0] if len(inputs) == 1 else list(inputs)
        return layer(taken) if name is None else self._wrapped(name, layer, taken, fixed=fixed)

    def pack(self, outputs, classes):
        """Scores and boxes of a detector's levels as one tensor; takes the TensorFlow backend."""
        return _Pack(classes)(outputs)
