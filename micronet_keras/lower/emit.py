"""The graph spelled out in the operations of TensorFlow Lite Micro, for any builder.

Which operations, in which order and where a tensor is quantized: all of that is decided here and
only here, so that what is calibrated, what is fine-tuned and what is converted are one and the
same.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from micronet_keras.lower.graph import (
    Add,
    Conv,
    Dense,
    DepthwiseConv,
    DYShiftMax,
    Flatten,
    Gather,
    GlobalAveragePool,
    Graph,
    HardSwish,
    Input,
    Node,
    ResizeBilinear,
    Softmax,
)

Range = tuple[float, float]
Tensor = Any

# 256 steps of 1/64: a power of two, so that the initial coefficients 0, 0.5 and 1 are exact.
COEFFICIENT_STEP = 4 / 256


def coefficient_range(center: float) -> Range:
    """The int8 range of a DY-ShiftMax coefficient: saturation is its clip to center -2 .. +2."""
    return center - 2.0, center + 2.0 - COEFFICIENT_STEP


def input_range(node: Input) -> Range | None:
    """The range that makes the int8 input ``pixel - 128``; None when the input is calibrated."""
    if node.pixel_scale is None or node.pixel_zero is None:
        return None
    return -node.pixel_scale * node.pixel_zero, node.pixel_scale * (255 - node.pixel_zero)


class Builder(Protocol):
    """What `emit` needs; every method returns a tensor.

    An operation's output is quantized under its name. ``fixed`` gives its range, otherwise the
    range is found by calibration. Operations without a name keep the quantization of their input.
    """

    def scope(self, name: str) -> AbstractContextManager:
        """What is built inside belongs to the layer, or the part of a layer, of this name."""

    def input(self, name: str, shape: tuple[int, int, int], fixed: Range | None) -> Tensor: ...
    def conv(self, name, x, kernel, bias, strides, groups, relu6) -> Tensor: ...
    def depthwise(self, name, x, kernel, bias, strides, relu6) -> Tensor: ...
    def dense(self, name, x, kernel, bias, relu=False, fixed=None) -> Tensor: ...
    def gather(self, x, indices) -> Tensor: ...
    def pool(self, x) -> Tensor: ...
    def resize_bilinear(self, x, factors) -> Tensor: ...
    def mul(self, name, x, y) -> Tensor: ...
    def add(self, name: str | None, x, y, relu6) -> Tensor:
        """A sum without a name is not quantized: what reads it carries its own range back."""

    def maximum(self, name, x, y) -> Tensor: ...
    def hard_swish(self, name, x) -> Tensor: ...
    def softmax(self, name, x) -> Tensor: ...
    def flatten(self, x) -> Tensor: ...


def emit(graph: Graph, builder: Builder) -> list[Tensor]:
    """Builds `graph` with `builder`; returns the output tensors."""
    tensors: dict[str, Tensor] = {}
    for node in graph:
        with builder.scope(node.name):
            tensors[node.name] = _emit(node, [tensors[name] for name in node.inputs], builder)
    return [tensors[name] for name in graph.outputs]


def _emit(node, inputs: list[Tensor], builder: Builder) -> Tensor:
    match node:
        case Input():
            return builder.input(node.name, node.shape, input_range(node))
        case Conv():
            return builder.conv(
                node.name, *inputs, node.kernel, node.bias, node.strides, node.groups, node.relu6
            )
        case DepthwiseConv():
            return builder.depthwise(
                node.name, *inputs, node.kernel, node.bias, node.strides, node.relu6
            )
        case Dense():
            return builder.dense(node.name, *inputs, node.kernel, node.bias)
        case DYShiftMax():
            return _emit_dy_shift_max(node, *inputs, builder)
        case Gather():
            return builder.gather(*inputs, node.indices)
        case Add():
            return builder.add(node.name, *inputs, node.relu6)
        case GlobalAveragePool():
            return builder.pool(*inputs)
        case ResizeBilinear():
            return builder.resize_bilinear(*inputs, node.factors)
        case HardSwish():
            return builder.hard_swish(node.name, *inputs)
        case Softmax():
            return builder.softmax(node.name, *inputs)
        case Flatten():
            return builder.flatten(*inputs)
    raise ValueError(f"No emission for this node. Received: {node.name!r}, {type(node).__name__}")


def coefficient_names(node: DYShiftMax) -> list[str]:
    """a1, b1 (, a2, b2) of this node: names of tensors in the emitted graph."""
    return [f"{node.name}/{'ab'[j % 2]}{j // 2 + 1}" for j in range(len(node.centers))]


def hidden_name(node: DYShiftMax) -> str:
    """The hidden vector of the coefficient network: name of a tensor in the emitted graph."""
    return f"{node.name}/hidden"


def scope_names(node: Node) -> list[str]:
    """The scopes that `emit` opens for a node, its own first."""
    if not isinstance(node, DYShiftMax):
        return [node.name]
    coefficients = coefficient_names(node)
    products = [f"{name}/product" for name in coefficients]
    parts = [f"{node.name}/{part}" for part in ("pool", "shift", "sum1", "sum2")]
    return [node.name, hidden_name(node), *coefficients, *products, *parts]


def _emit_dy_shift_max(node: DYShiftMax, x: Tensor, builder: Builder) -> Tensor:
    with builder.scope(f"{node.name}/pool"):
        pooled = builder.pool(x)
    with builder.scope(hidden_name(node)):
        hidden = builder.dense(
            hidden_name(node), pooled, node.squeeze_kernel, node.squeeze_bias, relu=True
        )
    with builder.scope(f"{node.name}/shift"):
        sources = (x, builder.gather(x, node.shift))
    products = []
    for j, name in enumerate(coefficient_names(node)):
        with builder.scope(name):
            coefficient = builder.dense(
                name, hidden, node.kernels[j], node.biases[j],
                fixed=coefficient_range(node.centers[j]),
            )  # fmt: skip
        with builder.scope(f"{name}/product"):
            products.append(builder.mul(f"{name}*x", sources[j % 2], coefficient))
    if len(products) == 2:
        return builder.add(node.name, *products, node.relu6)
    # Separate ranges for the two sums would cost up to three steps in the maximum.
    sums = []
    for k in (0, 1):
        with builder.scope(f"{node.name}/sum{k + 1}"):
            sums.append(builder.add(None, *products[2 * k : 2 * k + 2], node.relu6))
    return builder.maximum(node.name, *sums)
