"""The deployable graph: what is left of a Keras model when only inference matters.

Batch norms are folded, channel shuffles are plain permutations, and every weight is a numpy array.
Feature maps are [batch, height, width, channels]; vectors are [batch, 1, 1, channels], so that they
multiply feature maps without a reshape, and sequences are [batch, 1, length, channels].
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from micronet_mcu.shown import Shown, size_text, some_of

Pair = tuple[int, int]
Shape = tuple[int, ...]
# (low, high) with low <= 0 <= high; either may be infinite.
Clip = tuple[float, float]
RELU: Clip = (0.0, math.inf)
RELU6: Clip = (0.0, 6.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One operation. `name` also names its output tensor; `inputs` are names of other nodes."""

    name: str
    inputs: tuple[str, ...]

    def shape_of(self, *inputs: Shape) -> Shape:
        """The shape of the output, without the batch, from those of the inputs."""
        return inputs[0]


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

    def shape_of(self, *inputs: Shape) -> Shape:
        return self.shape


@dataclasses.dataclass(frozen=True, eq=False)
class Window(Node):
    """What slides over height and width; `padding` is "same" or "valid" as in Keras."""

    if TYPE_CHECKING:  # Fields of every subclass, each at its own place.
        strides: Pair
        padding: str

    def taps(self) -> Pair:
        """Height and width of the window, dilation included."""
        raise NotImplementedError

    def shape_of(self, *inputs: Shape) -> Shape:
        ((height, width, channels),) = inputs
        places = [
            -(-length // step) if self.padding == "same" else (length - taps) // step + 1
            for length, step, taps in zip((height, width), self.strides, self.taps(), strict=True)
        ]
        return (*places, self.outputs(channels))

    def outputs(self, channels: int) -> int:
        """The number of output channels."""
        return channels

    def same_padding(self, size: Pair) -> tuple[Pair, Pair]:
        """What "same" pads before and behind, in height and width, around a map of this size."""
        pads = []
        for length, step, taps in zip(size, self.strides, self.taps(), strict=True):
            total = max((-(-length // step) - 1) * step + taps - length, 0)
            pads.append((total // 2, total - total // 2))
        return pads[0], pads[1]


@dataclasses.dataclass(frozen=True, eq=False)
class Conv(Window):
    """Convolution. kernel [kh, kw, cin / groups, cout], bias [cout]; `clip` bounds the result."""

    kernel: np.ndarray
    bias: np.ndarray
    strides: Pair = (1, 1)
    groups: int = 1
    clip: Clip | None = None
    padding: str = "same"
    dilations: Pair = (1, 1)

    def taps(self) -> Pair:
        rows, columns = (
            (taps - 1) * rate + 1
            for taps, rate in zip(self.kernel.shape[:2], self.dilations, strict=True)
        )
        return rows, columns

    def outputs(self, channels: int) -> int:
        return len(self.bias)


@dataclasses.dataclass(frozen=True, eq=False)
class DepthwiseConv(Window):
    """Depthwise convolution. kernel [kh, kw, c, m], bias [c * m]; `clip` bounds the result."""

    kernel: np.ndarray
    bias: np.ndarray
    strides: Pair = (1, 1)
    clip: Clip | None = None
    padding: str = "same"

    def taps(self) -> Pair:
        return self.kernel.shape[:2]

    def outputs(self, channels: int) -> int:
        return len(self.bias)


@dataclasses.dataclass(frozen=True, eq=False)
class ConvTranspose(Node):
    """Transposed convolution. kernel [kh, kw, cout, cin], bias [cout].

    "same" padding gives `strides` times the size; "valid" all places that the kernel reaches.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strides: Pair = (1, 1)
    padding: str = "same"

    def shape_of(self, *inputs: Shape) -> Shape:
        ((height, width, _),) = inputs
        over = [
            0 if self.padding == "same" else max(taps - step, 0)
            for taps, step in zip(self.kernel.shape[:2], self.strides, strict=True)
        ]
        rows, columns = height * self.strides[0] + over[0], width * self.strides[1] + over[1]
        return (rows, columns, len(self.bias))


@dataclasses.dataclass(frozen=True, eq=False)
class Dense(Node):
    """A linear map of vectors. kernel [cin, cout], bias [cout]; `clip` bounds the result."""

    kernel: np.ndarray
    bias: np.ndarray
    clip: Clip | None = None

    def shape_of(self, *inputs: Shape) -> Shape:
        return (1, 1, len(self.bias))


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
        clip: bounds of the result, if any.
    """

    shift: np.ndarray
    squeeze_kernel: np.ndarray
    squeeze_bias: np.ndarray
    kernels: np.ndarray
    biases: np.ndarray
    centers: np.ndarray
    clip: Clip | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Gather(Node):
    """Channel i of the output is channel ``indices[i]`` of the input; some may be left out."""

    indices: np.ndarray

    def shape_of(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:2], len(self.indices))


@dataclasses.dataclass(frozen=True, eq=False)
class Binary(Node):
    """Two tensors of one shape, or of shapes that broadcast as numpy's do, element by element."""

    def shape_of(self, *inputs: Shape) -> Shape:
        return np.broadcast_shapes(*inputs)


@dataclasses.dataclass(frozen=True, eq=False)
class Add(Binary):
    """Sum of two tensors; `clip` bounds the result."""

    clip: Clip | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Subtract(Binary):
    """Difference of two tensors; `clip` bounds the result."""

    clip: Clip | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Multiply(Binary):
    """Product of two tensors; `clip` bounds the result."""

    clip: Clip | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Maximum(Binary):
    """The larger of two values."""


@dataclasses.dataclass(frozen=True, eq=False)
class Minimum(Binary):
    """The smaller of two values."""


@dataclasses.dataclass(frozen=True, eq=False)
class Concatenate(Node):
    """Tensors one behind the other along `axis`: 0 height, 1 width, 2 channels."""

    axis: int

    def shape_of(self, *inputs: Shape) -> Shape:
        total = list(inputs[0])
        total[self.axis] = sum(shape[self.axis] for shape in inputs)
        return tuple(total)


@dataclasses.dataclass(frozen=True, eq=False)
class Bound(Node):
    """A clip. Lowering fuses it into the node before it where it can."""

    clip: Clip


@dataclasses.dataclass(frozen=True, eq=False)
class GlobalAveragePool(Node):
    """Mean over height and width; keeps the rank."""

    def shape_of(self, *inputs: Shape) -> Shape:
        return (1, 1, inputs[0][2])


@dataclasses.dataclass(frozen=True, eq=False)
class AveragePool(Window):
    """Mean of each window; what "same" pads does not count."""

    size: Pair
    strides: Pair
    padding: str = "valid"

    def taps(self) -> Pair:
        return self.size


@dataclasses.dataclass(frozen=True, eq=False)
class MaxPool(Window):
    """Largest value of each window."""

    size: Pair
    strides: Pair
    padding: str = "valid"

    def taps(self) -> Pair:
        return self.size


@dataclasses.dataclass(frozen=True, eq=False)
class ResizeBilinear(Node):
    """Bilinear enlargement by whole `factors` of height and width.

    Pixels are sampled at their centres (``half_pixel_centers``), as Keras does on every backend.
    """

    factors: Pair

    def shape_of(self, *inputs: Shape) -> Shape:
        ((height, width, channels),) = inputs
        return (height * self.factors[0], width * self.factors[1], channels)


@dataclasses.dataclass(frozen=True, eq=False)
class ResizeNearest(ResizeBilinear):
    """Enlargement by whole `factors` of height and width, each pixel repeated."""


@dataclasses.dataclass(frozen=True, eq=False)
class Pad(Node):
    """Zeros around a map: `rows` and `columns` before and behind it."""

    rows: Pair
    columns: Pair

    def shape_of(self, *inputs: Shape) -> Shape:
        ((height, width, channels),) = inputs
        return (height + sum(self.rows), width + sum(self.columns), channels)


@dataclasses.dataclass(frozen=True, eq=False)
class Crop(Node):
    """What is left of a map without some `rows` and `columns` at its edges."""

    rows: Pair
    columns: Pair

    def shape_of(self, *inputs: Shape) -> Shape:
        ((height, width, channels),) = inputs
        return (height - sum(self.rows), width - sum(self.columns), channels)


@dataclasses.dataclass(frozen=True, eq=False)
class HardSwish(Node):
    """``x * relu6(x + 3) / 6``."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sigmoid(Node):
    """``1 / (1 + exp(-x))``."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tanh(Node):
    """Hyperbolic tangent."""


@dataclasses.dataclass(frozen=True, eq=False)
class LeakyRelu(Node):
    """x, or ``slope * x`` where x is negative."""

    slope: float


@dataclasses.dataclass(frozen=True, eq=False)
class Softmax(Node):
    """Softmax over the last axis."""


@dataclasses.dataclass(frozen=True, eq=False)
class Reshape(Node):
    """The same values in the same order in another shape."""

    shape: Shape

    def shape_of(self, *inputs: Shape) -> Shape:
        return self.shape


@dataclasses.dataclass(frozen=True, eq=False)
class Transpose(Node):
    """Axis i of the output, of (height, width, channels), is axis ``axes[i]`` of the input."""

    axes: tuple[int, int, int]

    def shape_of(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][axis] for axis in self.axes)


@dataclasses.dataclass(frozen=True, eq=False)
class Flatten(Node):
    """[batch, 1, 1, c] -> [batch, c]."""

    def shape_of(self, *inputs: Shape) -> Shape:
        return (inputs[0][2],)


class Graph(Shown):
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
        self._shapes: dict[str, Shape] = {}
        self.outputs: list[str] = []
        self.packed_classes = packed_classes

    def facts(self) -> list[tuple[str, str]]:
        ends = [size_text(self.shape(name)) for name in self.outputs]
        image = next((node for node in self if isinstance(node, Input)), None)
        return [
            ("input", size_text(image.shape) if image else "none yet"),
            ("outputs", some_of(ends)),
            ("nodes", str(len(self))),
        ]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

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
        self._shapes[node.name] = self._shape_of(node)
        return node.name

    def replace(self, node: Node) -> None:
        """Puts `node` in the place of the node of the same name and output shape."""
        if self._shape_of(node) != self._shapes[node.name]:
            raise ValueError(f"The shape must stay. Received: {node.name!r}, {type(node).__name__}")
        self._nodes[node.name] = node

    def _shape_of(self, node: Node) -> Shape:
        return tuple(map(int, node.shape_of(*map(self.shape, node.inputs))))

    def shape(self, name: str) -> Shape:
        """The shape of a node's output without the batch: (height, width, channels)."""
        return self._shapes[name]

    def consumers(self) -> dict[str, list[Node]]:
        """For every node the nodes that read it."""
        readers: dict[str, list[Node]] = {node.name: [] for node in self}
        for node in self:
            for name in node.inputs:
                readers[name].append(node)
        return readers

    def channels(self) -> dict[str, int]:
        """The number of output channels of every node."""
        return {node.name: self.shape(node.name)[-1] for node in self}

    def rebuilt(self, outputs: Iterable[str] | None = None) -> Graph:
        """A copy of the nodes that the outputs need, by `outputs` or as they are."""
        result = Graph(self.packed_classes)
        result.outputs = list(self.outputs if outputs is None else outputs)
        needed = set(result.outputs)
        for node in reversed(list(self)):
            if node.name in needed or isinstance(node, Input):
                needed.update(node.inputs)
        for node in self:
            if node.name in needed or isinstance(node, Input):
                result.add(node)
        return result
