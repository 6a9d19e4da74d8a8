"""What several rules have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from micronet_keras.lower import folding
from micronet_keras.lower.graph import (
    RELU,
    RELU6,
    Bound,
    Clip,
    HardSwish,
    LeakyRelu,
    MaxPool,
    Multiply,
    Reshape,
    Sigmoid,
    Softmax,
    Tanh,
)
from micronet_keras.lower.trace import CannotLower, Trace, Value


def weights(variable: Any) -> np.ndarray:
    """A layer's variable as float64."""
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def bias(layer: Any, channels: int) -> np.ndarray:
    """The layer's bias, zeros where it has none."""
    return weights(layer.bias) if layer.use_bias else np.zeros(channels)


def scale_and_shift(t: Trace, name: str, x: Value, scale: Any, shift: Any) -> Value:
    """``scale * x + shift``; both are numbers or one number for each channel."""
    channels = t.shape(x)[2]
    ends = [np.array(np.broadcast_to(per_channel(end, x), (channels,))) for end in (scale, shift)]
    return t.put(folding.affine(name, x.name, *ends), x.rank)


def per_channel(constant: Any, x: Value) -> np.ndarray:
    """A constant that is broadcast to `x`, as [channels] or [1]."""
    array = np.asarray(constant, np.float64)
    if array.ndim > x.rank + 1 or math.prod(array.shape[:-1]) != 1:
        raise CannotLower(
            "a constant here must be one number, or one for each channel, and not of shape "
            f"{array.shape}"
        )
    return array.reshape(-1)


def bounded(t: Trace, name: str, x: Value, clip: Clip) -> Value:
    """`x` clipped."""
    low, high = clip
    if not low <= 0 <= high or low == high:
        raise CannotLower(f"a clip must have 0 between its ends, and not be {low:g} to {high:g}")
    return t.put(Bound(name, (x.name,), (float(low), float(high))), x.rank)


def relu(t, name, x, negative_slope=0.0, max_value=None, threshold=0.0) -> Value:
    """Keras' ReLU with all that it can do."""
    if threshold:
        raise CannotLower("a ReLU with a threshold has no int8 form; use one without")
    if not negative_slope:
        return bounded(t, name, x, (0.0, math.inf if max_value is None else float(max_value)))
    if max_value is not None:
        raise CannotLower("a ReLU with a slope and a maximum has no int8 form; use one of the two")
    return t.put(LeakyRelu(name, (x.name,), float(negative_slope)), x.rank)


def hard_sigmoid(t: Trace, name: str, x: Value) -> Value:
    """``clip(x / 6 + 0.5, 0, 1)``: nothing but a clip behind a convolution or dense layer."""
    return bounded(t, name, scale_and_shift(t, f"{name}/scaled", x, 1 / 6, 0.5), (0.0, 1.0))


def silu(t: Trace, name: str, x: Value) -> Value:
    """``x * sigmoid(x)``."""
    gate = t.put(Sigmoid(f"{name}/sigmoid", (x.name,)), x.rank)
    return t.put(Multiply(name, (x.name, gate.name)), x.rank)


def softmax(t: Trace, name: str, x: Value, axis: Any = -1) -> Value:
    """Softmax over the last axis."""
    if axis not in (-1, x.rank):
        raise CannotLower(f"a softmax must be over the last axis, and not over {axis}")
    return t.put(Softmax(name, (x.name,)), x.rank)


Activation = Callable[[Trace, str, Value], Value]

# By the name of the function in keras.activations and in keras.ops.
ACTIVATIONS: dict[str, Activation] = {
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": lambda t, name, x: t.put(HardSwish(name, (x.name,)), x.rank),
    "hard_tanh": lambda t, name, x: bounded(t, name, x, (-1.0, 1.0)),
    "leaky_relu": lambda t, name, x: relu(t, name, x, negative_slope=0.2),
    "linear": lambda t, name, x: x,
    "relu": lambda t, name, x: bounded(t, name, x, RELU),
    "relu6": lambda t, name, x: bounded(t, name, x, RELU6),
    "sigmoid": lambda t, name, x: t.put(Sigmoid(name, (x.name,)), x.rank),
    "silu": silu,
    "softmax": softmax,
    "tanh": lambda t, name, x: t.put(Tanh(name, (x.name,)), x.rank),
}
_KNOWN = {
    getattr(module, name): rule
    for name, rule in ACTIVATIONS.items()
    for module in (keras.activations, keras.ops)
    if hasattr(module, name)
}


def activate(t: Trace, name: str, function: Any, x: Value) -> Value:
    """The activation function of a layer, which may be a layer itself."""
    if isinstance(function, keras.Operation):
        return t.call(function, x)
    rule = _KNOWN.get(function)
    if rule is None:
        kind = getattr(function, "__name__", type(function).__name__)
        raise CannotLower(
            f"the activation {kind!r} has no int8 form here; use one of "
            f"{', '.join(sorted(ACTIVATIONS))}"
        )
    return rule(t, name, x)


def reshaped(t: Trace, name: str, x: Value, shape: tuple[int, ...]) -> Value:
    """`x` in another shape, given as in Keras without the batch."""
    if not 1 <= len(shape) <= 3:
        raise CannotLower(f"a tensor must have 1 to 3 axes beside the batch, and not {len(shape)}")
    new = (*(1,) * (3 - len(shape)), *shape)
    if new == t.shape(x):
        return Value(x.name, len(shape))
    return t.put(Reshape(name, (x.name,), new), len(shape))


def axis_of(axis: Any, x: Value) -> int:
    """A Keras axis as the graph counts them: 0 height, 1 width, 2 channels."""
    count = x.rank + 1
    place = axis + count if axis < 0 else axis
    if not 1 <= place < count:
        raise CannotLower(f"axis {axis} is not one of the image's")
    return 3 - count + place


def global_max_pool(t: Trace, name: str, x: Value, rank: int) -> Value:
    """The largest value of each channel."""
    size = t.shape(x)[:2]
    return t.put(MaxPool(name, (x.name,), size, size), rank)
