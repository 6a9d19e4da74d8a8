"""Recognises DY-ShiftMax in a graph of builtin operators and makes one node of it.

After conversion the activation of Li et al. (ICCV 2021), section 3.3,

    out = max(a1 * x + b1 * shift(x), a2 * x + b2 * shift(x))        (K = 2; K = 1 has no max)

is two GATHERs or one, four MULs by [1, 1, 1, C] coefficients, two ADDs and a MAXIMUM. What computes
the coefficients (pooling and dense layers) stays as it is.
"""

from dataclasses import dataclass

import numpy as np

from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.graph.ops.add import Add
from micronet_mcu.graph.ops.binary import Binary
from micronet_mcu.graph.ops.dy_shift_max import DYShiftMax, kernel_takes
from micronet_mcu.graph.ops.gather import Gather
from micronet_mcu.graph.ops.maximum import Maximum
from micronet_mcu.graph.ops.mul import Mul
from micronet_mcu.graph.value import Value


@dataclass(frozen=True, eq=False)
class _Branch:
    """a * x + b * x[shift], as found; the last of `nodes` is the sum."""

    nodes: tuple[Node, ...]
    x: Value
    shift: np.ndarray
    a: Value
    b: Value


def fuse_dy_shift_max(graph: Graph) -> Graph:
    """Replaces every DY-ShiftMax by one node. Groups whose scales the kernel cannot take stay as
    they are."""
    for node in graph.nodes:
        if isinstance(node, Maximum) and node in graph.nodes:
            graph = _fuse_pair(graph, node)
    for node in graph.nodes:
        if isinstance(node, Add) and node in graph.nodes:
            branch = _branch(graph, node)
            graph = _replaced(graph, [branch], node) if branch else graph
    return graph


def _fuse_pair(graph: Graph, maximum: Maximum) -> Graph:
    adds = [graph.producer(v) for v in maximum.inputs]
    inner = [add for add in adds if add and graph.only_consumer(add.output) is maximum]
    branches = [branch for add in inner if (branch := _branch(graph, add))]
    if len(branches) != 2:
        return graph
    first, second = branches
    same = first.x.root is second.x.root and np.array_equal(first.shift, second.shift)
    scales = {node.output.quantization for node in (*inner, maximum)}
    return _replaced(graph, branches, maximum) if same and len(scales) == 1 else graph


def _branch(graph: Graph, add: Node) -> _Branch | None:
    """Matches ADD(MUL(x, a), MUL(GATHER(x), b)), operands in any order."""
    if not isinstance(add, Add) or not _unbounded(add):
        return None
    muls = [graph.producer(v) for v in add.inputs]
    for straight, shifted in (muls, muls[::-1]):
        left, right = _product(graph, straight, add), _product(graph, shifted, add)
        if straight is None or shifted is None or left is None or right is None:
            continue
        gather = graph.producer(right[0])
        if not isinstance(gather, Gather) or not gather.of_channels:
            continue
        if gather.inputs[0].root is left[0].root and left[0].shape == add.output.shape:
            nodes = (gather, straight, shifted, add)
            return _Branch(nodes, left[0], gather.index, left[1], right[1])
    return None


def _unbounded(node: Binary) -> bool:
    """No fused activation, or one that int8 saturation does anyway (ReLU6 at its usual scale)."""
    return node.clamp == (-128, 127)


def _product(graph: Graph, mul: Node | None, reader: Node) -> tuple[Value, Value] | None:
    """(map, coefficients) of a MUL that only `reader` reads."""
    if not isinstance(mul, Mul) or graph.only_consumer(mul.output) is not reader:
        return None
    if not _unbounded(mul):
        return None
    for image, factor in (mul.inputs, mul.inputs[::-1]):
        plain = factor.data is None and image.data is None
        if plain and image.shape == mul.output.shape and factor.size == image.channels:
            return image, factor
    return None


def _replaced(graph: Graph, branches: list[_Branch], last: Node) -> Graph:
    """The graph with one node for these branches; `last` writes their result."""
    x = branches[0].x
    coefficients = [v for branch in branches for v in (branch.a, branch.b)]
    if not kernel_takes(x, coefficients, last.output):
        return graph
    members = {n for branch in branches for n in branch.nodes} | {last}
    operators = sorted(index for node in members for index in node.operators)
    fused = DYShiftMax(
        (x, *coefficients), last.output, tuple(operators), last.name,
        shift=branches[0].shift.astype(np.int64), source=np.arange(x.channels),
    )  # fmt: skip
    gone = {node: None for node in members if not _read_elsewhere(graph, node, members)}
    return graph.exchange(gone | {last: fused})


def _read_elsewhere(graph: Graph, node: Node, members: set[Node]) -> bool:
    """Whether a gather has other readers (a second branch that was not matched)."""
    outside = [n for n in graph.consumers(node.output) if n not in members]
    return isinstance(node, Gather) and (bool(outside) or graph.is_output(node.output))
