"""How operators on tensors (``x + y``, ``x / 255.``) and calls of `keras.ops` are lowered."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from micronet_keras.lower.graph import (
    Add,
    AveragePool,
    Gather,
    GlobalAveragePool,
    Maximum,
    MaxPool,
    Minimum,
    Multiply,
    Node,
    Pad,
    Subtract,
)
from micronet_keras.lower.layer_rules import (
    binary,
    concatenated,
    cropped,
    inert,
    transposed,
    whole_shape,
)
from micronet_keras.lower.pieces import (
    ACTIVATIONS,
    axis_of,
    bounded,
    global_max_pool,
    per_channel,
    relu,
    reshaped,
    scale_and_shift,
    softmax,
)
from micronet_keras.lower.trace import CannotLower, Rule, Trace, Value


def _array(constant: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(constant), np.float64)


def _operator(kind: type[Node], with_constant: Callable[..., Value]) -> Rule:
    """Of two tensors, or of one and a constant on either side.

    `with_constant(t, name, x, constant, first)`: `first` when the constant is on the left.
    """

    def rule(t: Trace, name: str, operation: Any, x: Any, y: Any) -> Value:
        if isinstance(x, Value) and isinstance(y, Value):
            return binary(t, name, kind, x, y)
        if isinstance(x, Value):
            return with_constant(t, name, x, _array(y), False)
        return with_constant(t, name, y, _array(x), True)

    return rule


def _plus(t, name, x, constant, first) -> Value:
    return scale_and_shift(t, name, x, 1, constant)


def _minus(t, name, x, constant, first) -> Value:
    return scale_and_shift(t, name, x, *((-1, constant) if first else (1, -constant)))


def _times(t, name, x, constant, first) -> Value:
    return scale_and_shift(t, name, x, constant, 0)


def _divide(t: Trace, name: str, operation: Any, x: Any, y: Any) -> Value:
    if isinstance(y, Value):
        raise CannotLower("dividing by a tensor has no int8 form; multiply instead")
    return scale_and_shift(t, name, x, 1 / _array(y), 0)


def _at_least(t, name, x, constant, first) -> Value:
    return bounded(t, name, x, (_number(constant, x), math.inf))


def _at_most(t, name, x, constant, first) -> Value:
    return bounded(t, name, x, (-math.inf, _number(constant, x)))


def _number(constant: Any, x: Value) -> float:
    values = per_channel(constant, x)
    if (values != values[0]).any():
        raise CannotLower("a bound must be one number")
    return float(values[0])


def _clip(t: Trace, name: str, operation: Any, x: Value) -> Value:
    return bounded(t, name, x, (float(operation.x_min), float(operation.x_max)))


def _negative(t: Trace, name: str, operation: Any, x: Value) -> Value:
    return scale_and_shift(t, name, x, -1, 0)


def _square(t: Trace, name: str, operation: Any, x: Value) -> Value:
    return t.put(Multiply(name, (x.name, x.name)), x.rank)


def _relu(t: Trace, name: str, operation: Any, x: Value) -> Value:
    return relu(t, name, x, operation.negative_slope, operation.max_value, operation.threshold)


def _leaky_relu(t: Trace, name: str, operation: Any, x: Value) -> Value:
    return relu(t, name, x, operation.negative_slope)


def _softmax(t: Trace, name: str, operation: Any, x: Value) -> Value:
    return softmax(t, name, x, operation.axis)


def _over_the_map(operation: Any, x: Value) -> int:
    """The rank that a mean or maximum over height and width leaves."""
    axes = operation.axis if isinstance(operation.axis, tuple | list) else (operation.axis,)
    if x.rank != 3 or None in axes or sorted(axis_of(axis, x) for axis in axes) != [0, 1]:
        raise CannotLower("it must be over height and width, axis=(1, 2)")
    return 3 if operation.keepdims else 1


def _mean(t: Trace, name: str, operation: Any, x: Value) -> Value:
    return t.put(GlobalAveragePool(name, (x.name,)), _over_the_map(operation, x))


def _max(t: Trace, name: str, operation: Any, x: Value) -> Value:
    return global_max_pool(t, name, x, _over_the_map(operation, x))


def _pool(kind: type[Node]) -> Rule:
    def rule(t: Trace, name: str, operation: Any, x: Value) -> Value:
        if operation.data_format == "channels_first":
            raise CannotLower('it is of data_format="channels_first"; use "channels_last"')
        size, strides = (
            (value, value) if isinstance(value, int) else tuple(value)
            for value in (operation.pool_size, operation.strides or operation.pool_size)
        )
        return t.put(kind(name, (x.name,), size, strides, padding=operation.padding), 3)

    return rule


def _concatenate(t: Trace, name: str, operation: Any, values: list[Value]) -> Value:
    if not all(isinstance(value, Value) for value in values):
        raise CannotLower("constants cannot be joined to a tensor; make them part of the weights")
    return concatenated(t, name, values, operation.axis)


def _reshape(t: Trace, name: str, operation: Any, x: Value) -> Value:
    batch, *shape = operation.newshape
    if batch != -1 and -1 in shape:
        raise CannotLower("give the batch as -1 and the other axes as numbers")
    return reshaped(t, name, x, whole_shape(t, x, tuple(shape)))


def _squeeze(t: Trace, name: str, operation: Any, x: Value) -> Value:
    shape = list(t.shape(x))[3 - x.rank :]
    if operation.axis is None:
        return reshaped(t, name, x, tuple(length for length in shape if length != 1))
    axes = operation.axis if isinstance(operation.axis, tuple | list) else (operation.axis,)
    gone = {axis_of(axis, x) - (3 - x.rank) for axis in axes}
    return reshaped(t, name, x, tuple(n for i, n in enumerate(shape) if i not in gone))


def _expand_dims(t: Trace, name: str, operation: Any, x: Value) -> Value:
    if not isinstance(operation.axis, int):
        raise CannotLower("one axis at a time can be added")
    shape = [0, *t.shape(x)[3 - x.rank :]]
    place = operation.axis + len(shape) + 1 if operation.axis < 0 else operation.axis
    if place == 0:
        raise CannotLower("axis 0 is the batch")
    shape.insert(place, 1)
    return reshaped(t, name, x, tuple(shape[1:]))


def _transpose(t: Trace, name: str, operation: Any, x: Value) -> Value:
    batch, *axes = operation.axes or range(x.rank, -1, -1)
    if batch != 0:
        raise CannotLower("the batch must stay the first axis")
    return transposed(t, name, x, tuple(axes))


def _pad(t: Trace, name: str, operation: Any, x: Value, constant_values: Any = None) -> Value:
    widths = [tuple(width) for width in operation.pad_width]
    if operation.mode != "constant" or np.any(constant_values or 0) or x.rank != 3:
        raise CannotLower("only zeros around height and width can be added")
    if len(widths) != 4 or widths[0] != (0, 0) or widths[3] != (0, 0):
        raise CannotLower("only height and width can be padded")
    return t.put(Pad(name, (x.name,), *widths[1:3]), 3)


def _get_item(t: Trace, name: str, operation: Any, x: Value, key: Any) -> Value:
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        keys[place : place + 1] = [slice(None)] * (x.rank + 2 - len(keys))
    keys += [slice(None)] * (x.rank + 1 - len(keys))
    if x.rank != 3 or not all(isinstance(part, slice) for part in keys) or keys[0] != slice(None):
        raise CannotLower("a map can only be cut by slices of height and width")
    height, width, channels = t.shape(x)
    rows, columns, kept = (
        range(length)[part]
        for length, part in zip((height, width, channels), keys[1:], strict=True)
    )
    if not rows or not columns or rows.step != 1 or columns.step != 1:
        raise CannotLower("height and width can only be cut by slices of step 1")
    if kept != range(channels):
        x = t.put(Gather(f"{name}/channels", (x.name,), np.array(kept)), 3)
    ends = ((rows[0], height - 1 - rows[-1]), (columns[0], width - 1 - columns[-1]))
    return x if ends == ((0, 0), (0, 0)) else cropped(t, name, x, *ends)


def _split(t: Trace, name: str, operation: Any, x: Value) -> list[Value]:
    if axis_of(operation.axis, x) != 2:
        raise CannotLower("only the channels can be split")
    parts = np.split(np.arange(t.shape(x)[2]), operation.indices_or_sections)
    return [t.put(Gather(f"{name}/part", (x.name,), part), x.rank) for part in parts]


def _flip(t: Trace, name: str, operation: Any, x: Value) -> Value:
    axes = operation.axis if isinstance(operation.axis, tuple | list) else (operation.axis,)
    if [axis_of(axis, x) for axis in axes] != [2]:
        raise CannotLower("only the channels can be reversed")
    return t.put(Gather(name, (x.name,), np.arange(t.shape(x)[2])[::-1]), x.rank)


def _as_activation(function: str) -> Rule:
    return lambda t, name, operation, x: ACTIVATIONS[function](t, name, x)


# By the name of the class of the operation in keras.ops and keras.activations.
RULES: dict[str, Rule] = {
    "Add": _operator(Add, _plus),
    "AveragePool": _pool(AveragePool),
    "Cast": inert,
    "Clip": _clip,
    "Concatenate": _concatenate,
    "Copy": inert,
    "Divide": _divide,
    "ExpandDims": _expand_dims,
    "Flip": _flip,
    "GetItem": _get_item,
    "HardSigmoid": _as_activation("hard_sigmoid"),
    "HardSilu": _as_activation("hard_silu"),
    "HardTanh": _as_activation("hard_tanh"),
    "LeakyRelu": _leaky_relu,
    "Max": _max,
    "MaxPool": _pool(MaxPool),
    "Maximum": _operator(Maximum, _at_least),
    "Mean": _mean,
    "Minimum": _operator(Minimum, _at_most),
    "Multiply": _operator(Multiply, _times),
    "Negative": _negative,
    "Pad": _pad,
    "ReLU": _relu,
    "Relu": _as_activation("relu"),
    "Relu6": _as_activation("relu6"),
    "Reshape": _reshape,
    "Sigmoid": _as_activation("sigmoid"),
    "Silu": _as_activation("silu"),
    "Softmax": _softmax,
    "Split": _split,
    "Square": _square,
    "Squeeze": _squeeze,
    "Subtract": _operator(Subtract, _minus),
    "Tanh": _as_activation("tanh"),
    "Transpose": _transpose,
    "TrueDivide": _divide,
}
