"""Recognises DY-ShiftMax in a graph of builtin operators and makes one node of it.

After conversion the activation of Li et al. (ICCV 2021), section 3.3,

    out = max(a1 * x + b1 * shift(x), a2 * x + b2 * shift(x))        (K = 2; K = 1 has no max)

is two GATHERs or one, four MULs by [1, 1, 1, C] coefficients, two ADDs and a MAXIMUM. What computes
the coefficients (pooling and dense layers) stays as it is.
"""

from dataclasses import dataclass

import numpy as np

from micronet_mcu.graph.fixed_point import activation_bounds
from micronet_mcu.graph.graph import Graph, Node, Value


@dataclass(frozen=True, eq=False)
class _Branch:
    """a * x + b * x[shift], as found."""

    nodes: list[Node]
    x: Value
    shift: np.ndarray
    a: Value
    b: Value
    output: Value


def fuse_dy_shift_max(graph: Graph) -> None:
    """Replaces every DY-ShiftMax by a node DY_SHIFT_MAX.

    Its inputs are x, a1, b1 (and a2, b2); attributes "shift" and "source" are channel indices:
    branch k at channel c is a_k[c] * x[c] + b_k[c] * x[shift[c]]; output channel j is channel
    source[j] of the maximum. Groups whose scales the kernel cannot take stay as they are.
    """
    for node in list(graph.nodes):
        if node not in graph.nodes:
            continue
        if node.kind == "MAXIMUM" and len(node.inputs) == 2:
            _fuse_pair(graph, node)
    for node in list(graph.nodes):
        if node.kind == "ADD" and node in graph.nodes:
            branch = _branch(graph, node)
            if branch:
                _replace(graph, [branch], branch.output)


def _fuse_pair(graph: Graph, maximum: Node) -> None:
    adds = [graph.producer(v) for v in maximum.inputs]
    if any(add is None or graph.only_consumer(add.output) is not maximum for add in adds):
        return
    branches = [_branch(graph, add) for add in adds]
    if None in branches:
        return
    first, second = branches
    same = first.x.root is second.x.root and np.array_equal(first.shift, second.shift)
    scales = {v.quantization for v in (first.output, second.output, maximum.output)}
    if same and len(scales) == 1:
        _replace(graph, branches, maximum.output, maximum)


def _branch(graph: Graph, add: Node) -> _Branch | None:
    """Matches ADD(MUL(x, a), MUL(GATHER(x), b)), operands in any order."""
    if add.kind != "ADD" or not _unbounded(add):
        return None
    muls = [graph.producer(v) for v in add.inputs]
    for straight, shifted in (muls, muls[::-1]):
        left, right = _product(graph, straight, add), _product(graph, shifted, add)
        if left is None or right is None:
            continue
        gather = graph.producer(right[0])
        if gather is None or not is_channel_gather(gather):
            continue
        if gather.inputs[0].root is left[0].root and left[0].shape == add.output.shape:
            return _Branch(
                [gather, straight, shifted, add],
                left[0],
                gather.attributes["constant"].ravel(),
                left[1],
                right[1],
                add.output,
            )
    return None


def _unbounded(node: Node) -> bool:
    """No fused activation, or one that int8 saturation does anyway (ReLU6 at its usual scale)."""
    activation = node.attributes["fused_activation_function"]
    return activation_bounds(activation, *node.output.quantization) == (-128, 127)


def _product(graph: Graph, mul: Node | None, reader: Node) -> tuple[Value, Value] | None:
    """(map, coefficients) of a MUL that only `reader` reads."""
    if mul is None or mul.kind != "MUL" or graph.only_consumer(mul.output) is not reader:
        return None
    if not _unbounded(mul):
        return None
    for image, factor in (mul.inputs, mul.inputs[::-1]):
        plain = factor.data is None and image.data is None
        if plain and image.shape == mul.output.shape and factor.size == image.channels:
            return image, factor
    return None


def is_channel_gather(node: Node) -> bool:
    """GATHER along the last axis by a vector of indices."""
    if node.kind != "GATHER":
        return False
    axis, rank = node.attributes["axis"], len(node.inputs[0].shape)
    return axis in (-1, rank - 1) and node.attributes["constant"].ndim == 1


def _replace(
    graph: Graph, branches: list[_Branch], output: Value, last: Node | None = None
) -> None:
    x = branches[0].x
    coefficients = [v for branch in branches for v in (branch.a, branch.b)]
    if not kernel_takes(x, coefficients, output):
        return
    members = [n for branch in branches for n in branch.nodes] + ([last] if last else [])
    position = max(graph.nodes.index(n) for n in members)
    indices = sorted({int(n.label.split()[1]) for n in members})
    fused = Node(
        "DY_SHIFT_MAX",
        [x, *coefficients],
        output,
        {"shift": branches[0].shift.astype(np.int64), "source": np.arange(x.channels)},
        f"operators {indices[0]}..{indices[-1]} DY_SHIFT_MAX",
    )
    graph.nodes.insert(position + 1, fused)
    # The gather may have other readers (a second branch that was not matched).
    for node in members:
        if node in graph.nodes and not (node.kind == "GATHER" and _read(graph, node, members)):
            graph.nodes.remove(node)


def _read(graph: Graph, node: Node, members: list[Node]) -> bool:
    outside = [n for n in graph.consumers(node.output) if n not in members]
    return bool(outside) or node.output is graph.output.root


def kernel_takes(x: Value, coefficients: list[Value], output: Value) -> bool:
    """Whether the widened coefficients stay within the kernel's int16 (see micronet_kernels.h)."""
    widened = []
    for value in coefficients:
        multiplier = coefficient_multiplier(value, x, output)
        products = (np.arange(-128, 128) - value.zero_point) * multiplier
        if np.abs(products).max() >= 2**31 - 2**15:
            return False
        widened.append((products + 2**15) >> 16)
    if any(np.abs(w).max() > 32767 for w in widened):
        return False
    if len(widened) == 4:
        for first, second in ((widened[0], widened[2]), (widened[1], widened[3])):
            if max(first.max() - second.min(), second.max() - first.min()) > 32767:
                return False
    return True


def coefficient_multiplier(coefficient: Value, x: Value, output: Value) -> int:
    """Of a coefficient's step, in 2^-28 output steps per input step."""
    return round(coefficient.scale * x.scale / output.scale * 2**28)
