"""The deployable graph: what is left of a Keras model when only inference matters.

Batch norms are folded, channel shuffles are plain permutations, and every weight is a numpy array.
Feature maps are [batch, height, width, channels]; pooled vectors are [batch, 1, 1, channels], so
that they multiply feature maps without a reshape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One operation. `name` also names its output tensor; `inputs` are names of other nodes."""

    name: str
    inputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Input(Node):
    """The image, float [batch, height, width, channels].

    Attributes:
        shape: (height, width, channels).
        pixel_scale, pixel_zero: a pixel value p (0 to 255) enters as ``pixel_scale * (p -
            pixel_zero)``. `pixel_zero` is a whole number, so the int8 input is exactly ``p - 128``.
            None when the graph takes whatever the Keras model took.
    """

    shape: tuple[int, int, int]
    pixel_scale: float | None = None
    pixel_zero: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Conv(Node):
    """Convolution with SAME padding. kernel [kh, kw, cin / groups, cout], bias [cout]."""

    kernel: np.ndarray
    bias: np.ndarray
    strides: Pair = (1, 1)
    groups: int = 1
    relu6: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class DepthwiseConv(Node):
    """Depthwise convolution, SAME padding. kernel [kh, kw, c, m], bias [c * m]."""

    kernel: np.ndarray
    bias: np.ndarray
    strides: Pair = (1, 1)
    relu6: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Dense(Node):
    """A linear map of pooled vectors. kernel [cin, cout], bias [cout]."""

    kernel: np.ndarray
    bias: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class DYShiftMax(Node):
    """max over k of ``a_k * x + b_k * x[shift]``, the coefficients computed from the pooled input.

    The hidden vector is ``relu(pool(x) @ squeeze_kernel + squeeze_bias)``; coefficient j of the
    order a1, b1 (, a2, b2) is ``clip(hidden @ kernels[j] + biases[j], centers[j] - 2, centers[j] +
    2)``. That equals the layer's hard sigmoid: ``4 * (relu6(z + 3) / 6) - 2 + c = clip(2z/3 + c,
    c-2, c+2)``.

    Attributes:
        shift: [c], the source channel of each shifted channel.
        squeeze_kernel, squeeze_bias: [c, s], [s].
        kernels, biases: [2K, s, c], [2K, c].
        centers: [2K], the initial values of the coefficients.
        relu6: whether the result is clipped to 0..6.
    """

    shift: np.ndarray
    squeeze_kernel: np.ndarray
    squeeze_bias: np.ndarray
    kernels: np.ndarray
    biases: np.ndarray
    centers: np.ndarray
    relu6: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Gather(Node):
    """Channel i of the output is channel ``indices[i]`` of the input."""

    indices: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Add(Node):
    """Sum of two feature maps of one shape."""

    relu6: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Relu6(Node):
    """Clip to 0..6. Lowering fuses it into the node before it: TFLM gets a standalone one wrong."""


@dataclasses.dataclass(frozen=True, eq=False)
class GlobalAveragePool(Node):
    """Mean over height and width; keeps the rank."""


@dataclasses.dataclass(frozen=True, eq=False)
class ResizeBilinear(Node):
    """Bilinear enlargement by whole `factors` of height and width.

    Pixels are sampled at their centres (``half_pixel_centers``), as Keras does on every backend.
    """

    factors: Pair


@dataclasses.dataclass(frozen=True, eq=False)
class HardSwish(Node):
    """``x * relu6(x + 3) / 6``."""


@dataclasses.dataclass(frozen=True, eq=False)
class Softmax(Node):
    """Softmax over the last axis."""


@dataclasses.dataclass(frozen=True, eq=False)
class Flatten(Node):
    """[batch, 1, 1, c] -> [batch, c]."""


AnyNode = TypeVar("AnyNode", bound=Node)


class Graph:
    """Nodes in the order of computation, and the names of the outputs.

    Attributes:
        outputs: names of the nodes whose tensors the graph puts out.
        packed_classes: number of classes where the outputs are scores and boxes of a detector's
            levels in turn, which the Keras model joins by `PackLevels`; None otherwise.

    Example:

    >>> graph = Graph()
    >>> x = graph.add(Input("image", (), shape=(8, 8, 3)))
    >>> x = graph.add(GlobalAveragePool("pool", (x,)))
    >>> graph.outputs = [x]
    >>> graph.channels()["pool"]
    3
    """

    def __init__(self, packed_classes: int | None = None) -> None:
        self._nodes: dict[str, Node] = {}
        self.outputs: list[str] = []
        self.packed_classes = packed_classes

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    @property
    def input(self) -> Input:
        """The image."""
        return next(node for node in self if isinstance(node, Input))

    def add(self, node: Node) -> str:
        """Appends a node whose inputs are there already; returns its name."""
        if node.name in self._nodes:
            raise ValueError(f"Node names must differ. Received: {node.name!r} twice")
        missing = [name for name in node.inputs if name not in self._nodes]
        if missing:
            raise ValueError(f"Inputs must be added first. Received: {node.name!r} with {missing}")
        self._nodes[node.name] = node
        return node.name

    def replace(self, node: Node) -> None:
        """Puts `node` in the place of the node of the same name."""
        self._nodes[node.name] = node

    def consumers(self) -> dict[str, list[Node]]:
        """For every node the nodes that read it."""
        readers: dict[str, list[Node]] = {node.name: [] for node in self}
        for node in self:
            for name in node.inputs:
                readers[name].append(node)
        return readers

    def channels(self) -> dict[str, int]:
        """The number of output channels of every node."""
        count: dict[str, int] = {}
        for node in self:
            if isinstance(node, Input):
                count[node.name] = node.shape[-1]
            elif isinstance(node, Conv | DepthwiseConv | Dense):
                count[node.name] = len(node.bias)
            else:
                count[node.name] = count[node.inputs[0]]
        return count
