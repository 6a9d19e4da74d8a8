"""The graph spelled out in the operations of TensorFlow Lite Micro, for any builder.

Which operations, in which order and where a tensor is quantized: all of that is decided here and
only here, so that what is calibrated, what is fine-tuned and what is converted are one and the
same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from micronet_keras.lower import graph as nodes
from micronet_keras.lower.folding import affine
from micronet_keras.lower.graph import (
    RELU,
    RELU6,
    Bound,
    Clip,
    Conv,
    ConvTranspose,
    Dense,
    DepthwiseConv,
    DYShiftMax,
    Graph,
    Input,
    Node,
)

Range = tuple[float, float]
Tensor = Any

# 256 steps of 1/64: a power of two, so that the initial coefficients 0, 0.5 and 1 are exact.
COEFFICIENT_STEP = 4 / 256


def coefficient_range(center: float) -> Range:
    """The int8 range of a DY-ShiftMax coefficient, which is clipped to center -2 .. +2 in float.

    Its upper end is a step short of that.
    """
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
    ``clip`` bounds the output; in int8 the ends of a range that lies within do it for nothing.
    """

    def scope(self, name: str) -> AbstractContextManager:
        """What is built inside belongs to the layer, or the part of a layer, of this name."""

    def input(self, name: str, shape: tuple[int, int, int], fixed: Range | None) -> Tensor: ...
    def conv(self, node: Conv, x: Tensor) -> Tensor: ...
    def conv_transpose(self, node: ConvTranspose, x: Tensor) -> Tensor: ...
    def depthwise(self, node: DepthwiseConv, x: Tensor) -> Tensor: ...
    def dense(self, name, x, kernel, bias, clip=None, fixed=None) -> Tensor: ...
    def gather(self, x, indices) -> Tensor: ...
    def bound(self, name: str, x, clip: Clip) -> Tensor:
        """A clip by itself, behind what cannot clip."""

    def apply(
        self,
        name: str | None,
        function: str,
        *inputs: Tensor,
        clip: Clip | None = None,
        fixed: Range | None = None,
        **settings: Any,
    ) -> Tensor:
        """A function of `micronet_keras.lower.functions.FUNCTIONS`.

        A result without a name is not quantized: what reads it carries its own range back.
        """


@dataclasses.dataclass(frozen=True)
class _Call:
    """How a node without weights is emitted.

    Attributes:
        function: what computes it.
        settings: the node's fields that the function takes.
        keeps: whether the output has the quantization of the input.
        fixed: see `Builder.apply`.
        joint: whether the kernel takes its inputs in the quantization of its output only.
    """

    function: str
    settings: tuple[str, ...] = ()
    keeps: bool = False
    fixed: Range | None = None
    joint: bool = False


_WINDOW = ("size", "strides", "padding")

_CALLS: dict[type[Node], _Call] = {
    nodes.Add: _Call("add", ("clip",)),
    nodes.AveragePool: _Call("average_pool", _WINDOW, keeps=True),
    nodes.Concatenate: _Call("concatenate", ("axis",), joint=True),
    nodes.Crop: _Call("crop", ("rows", "columns"), keeps=True),
    nodes.Flatten: _Call("flatten", keeps=True),
    nodes.GlobalAveragePool: _Call("global_average_pool", keeps=True),
    nodes.HardSwish: _Call("hard_swish"),
    nodes.LeakyRelu: _Call("leaky_relu", ("slope",)),
    nodes.Maximum: _Call("maximum", joint=True),
    nodes.MaxPool: _Call("max_pool", _WINDOW, keeps=True),
    nodes.Minimum: _Call("minimum", joint=True),
    nodes.Multiply: _Call("multiply", ("clip",)),
    nodes.Pad: _Call("pad", ("rows", "columns"), keeps=True),
    nodes.Reshape: _Call("reshape", ("shape",), keeps=True),
    nodes.ResizeBilinear: _Call("resize_bilinear", ("factors",), keeps=True),
    nodes.ResizeNearest: _Call("resize_nearest", ("factors",), keeps=True),
    # TFLM's kernels give these in one quantization only.
    nodes.Sigmoid: _Call("sigmoid", fixed=(0.0, 255 / 256)),
    nodes.Softmax: _Call("softmax", fixed=(0.0, 255 / 256)),
    nodes.Subtract: _Call("subtract", ("clip",)),
    nodes.Tanh: _Call("tanh", fixed=(-1.0, 127 / 128)),
    nodes.Transpose: _Call("transpose", ("axes",), keeps=True),
}


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
            return builder.conv(node, *inputs)
        case ConvTranspose():
            return builder.conv_transpose(node, *inputs)
        case DepthwiseConv():
            return builder.depthwise(node, *inputs)
        case Dense():
            return builder.dense(node.name, *inputs, node.kernel, node.bias, node.clip)
        case DYShiftMax():
            return _emit_dy_shift_max(node, *inputs, builder)
        case nodes.Gather():
            return builder.gather(*inputs, node.indices)
        case Bound():
            return builder.bound(node.name, *inputs, node.clip)
    call = _CALLS.get(type(node))
    if call is None:
        kind = type(node).__name__
        raise ValueError(f"No emission for this node. Received: {node.name!r}, {kind}")
    settings = {name: getattr(node, name) for name in call.settings}
    name = None if call.keeps else node.name
    return builder.apply(name, call.function, *inputs, fixed=call.fixed, **settings)


def settled(graph: Graph) -> Graph:
    """Returns an equal graph in which all inputs of joint operations may have any range.

    A multiply by one is put behind those that have a range of their own: what TFLM gives in one
    quantization only, and what the ends of its range clip.
    """
    result = Graph(graph.packed_classes)
    for node in graph:
        if _is_joint(node):
            inputs = []
            for place, name in enumerate(node.inputs):
                root = _root(result, name)
                call = _CALLS.get(type(root))
                if isinstance(root, Input) or (call and call.fixed) or _range_is_clip(root):
                    ones = np.ones(result.shape(name)[2])
                    copy = affine(f"{node.name}/input{place + 1}", name, ones, 0 * ones)
                    name = result.add(copy)
                inputs.append(name)
            node = dataclasses.replace(node, inputs=tuple(inputs))
        result.add(node)
    result.outputs = list(graph.outputs)
    return result


def joined_ranges(graph: Graph, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges with one for all inputs and the output of every joint operation."""
    joined = dict(ranges)
    groups: dict[str, set[str]] = {}
    for node in graph:
        if _is_joint(node):
            group = {node.name, *(_root(graph, name).name for name in node.inputs)}
            group = group.union(*(groups.get(name, set()) for name in group))
            groups.update(dict.fromkeys(group, group))
    for name, group in groups.items():
        lows, highs = zip(*(ranges[member] for member in group), strict=True)
        joined[name] = (min(lows), max(highs))
    return joined


def _is_joint(node: Node) -> bool:
    call = _CALLS.get(type(node))
    return call is not None and call.joint


def _root(graph: Graph, name: str) -> Node:
    """The node whose range a tensor has."""
    node = graph[name]
    while isinstance(node, nodes.Gather) or (type(node) in _CALLS and _CALLS[type(node)].keeps):
        node = graph[node.inputs[0]]
    return node


def _range_is_clip(node: Node) -> bool:
    """Whether the ends of the output's range are what clips it, and no operation does."""
    clip = getattr(node, "clip", None)
    return clip not in ((RELU,) if isinstance(node, Bound) else (None, RELU, RELU6))


def coefficient_names(node: DYShiftMax) -> list[str]:
    """a1, b1 (, a2, b2) of this node: names of tensors in the emitted graph."""
    return [f"{node.name}/{'ab'[j % 2]}{j // 2 + 1}" for j in range(len(node.centers))]


def hidden_name(node: DYShiftMax) -> str:
    """The hidden vector of the coefficient network: name of a tensor in the emitted graph."""
    return f"{node.name}/hidden"


# The fields of nodes that training changes.
TRAINED = ("kernel", "bias", "squeeze_kernel", "squeeze_bias", "kernels", "biases")


def with_weights(graph: Graph, weights: Callable[[str], tuple[np.ndarray, np.ndarray]]) -> Graph:
    """The graph with other weights: (kernel, bias) by the name that `emit` gave a builder."""
    result = Graph(graph.packed_classes)
    for node in graph:
        if isinstance(node, Conv | ConvTranspose | DepthwiseConv | Dense):
            kernel, bias = weights(node.name)
            node = dataclasses.replace(node, kernel=kernel, bias=bias)
        elif isinstance(node, DYShiftMax):
            squeeze_kernel, squeeze_bias = weights(hidden_name(node))
            pairs = [weights(name) for name in coefficient_names(node)]
            kernels, biases = map(np.stack, zip(*pairs, strict=True))
            node = dataclasses.replace(
                node,
                squeeze_kernel=squeeze_kernel,
                squeeze_bias=squeeze_bias,
                kernels=kernels,
                biases=biases,
            )
        result.add(node)
    result.outputs = list(graph.outputs)
    return result


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
        pooled = builder.apply(None, "global_average_pool", x)
    with builder.scope(hidden_name(node)):
        hidden = builder.dense(
            hidden_name(node), pooled, node.squeeze_kernel, node.squeeze_bias, RELU
        )
    with builder.scope(f"{node.name}/shift"):
        sources = (x, builder.gather(x, node.shift))
    products = []
    for j, name in enumerate(coefficient_names(node)):
        center = node.centers[j]
        with builder.scope(name):
            coefficient = builder.dense(
                name,
                hidden,
                node.kernels[j],
                node.biases[j],
                clip=(center - 2.0, center + 2.0),
                fixed=coefficient_range(center),
            )
        with builder.scope(f"{name}/product"):
            products.append(builder.apply(f"{name}*x", "multiply", sources[j % 2], coefficient))
    if len(products) == 2:
        return builder.apply(node.name, "add", *products, clip=node.clip)
    # Separate ranges for the two sums would cost up to three steps in the maximum.
    sums = []
    for k in (0, 1):
        with builder.scope(f"{node.name}/sum{k + 1}"):
            pair = products[2 * k : 2 * k + 2]
            sums.append(builder.apply(None, "add", *pair, clip=node.clip))
    return builder.apply(node.name, "maximum", *sums)
