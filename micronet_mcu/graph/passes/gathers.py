"""A permutation of channels (GATHER) is taken in by what stands beside it."""

from dataclasses import replace

import numpy as np

from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.graph.ops.conv_2d import Conv2D
from micronet_mcu.graph.ops.depthwise_conv_2d import DepthwiseConv2D
from micronet_mcu.graph.ops.dy_shift_max import DYShiftMax
from micronet_mcu.graph.ops.fully_connected import FullyConnected
from micronet_mcu.graph.ops.gather import Gather


def fold_gathers(graph: Graph) -> Graph:
    """Takes GATHERs of channels into their neighbours until none can be moved."""
    folded: Graph | None = graph
    while folded is not None:
        graph, folded = folded, _fold_one(folded)
    return graph


def absorb_shuffles(graph: Graph) -> Graph:
    """Takes GATHERs of channels behind a DY-ShiftMax into it, and no others."""
    for node in graph.nodes:
        after = graph.only_consumer(node.output) if isinstance(node, DYShiftMax) else None
        if isinstance(after, Gather) and after.of_channels:
            merged = _before(node, after)
            graph = graph.exchange({node: merged, after: None}) if merged else graph
    return graph


def _fold_one(graph: Graph) -> Graph | None:
    """The graph with one GATHER less; None where none can be moved."""
    gathers = [node for node in graph.nodes if isinstance(node, Gather) and node.of_channels]
    tried = (_fold(graph, gather) for gather in gathers)
    return next((folded for folded in tried if folded is not None), None)


def _fold(graph: Graph, gather: Gather) -> Graph | None:
    before = graph.producer(gather.inputs[0])
    if before is not None and graph.only_consumer(before.output) is gather:
        merged = _before(before, gather)
        if merged is not None:
            return graph.exchange({before: merged, gather: None})
    after = graph.only_consumer(gather.output)
    if after is None or not gather.is_permutation:
        return None
    merged = _after(after, gather)
    if merged is None:
        return None
    return graph.exchange({after: merged, gather: None}, {gather.output: gather.inputs[0]})


def _before(node: Node, gather: Gather) -> Node | None:
    """`node` and then `gather` as one; None where that cannot be."""
    index = gather.index
    match node:
        case DYShiftMax() if index.size == node.source.size:
            change = {"source": node.source[index]}
        case Conv2D(groups=1) | FullyConnected():
            change = {"weights": node.weights.take(index)}
        # The kernel for dilated ones has no table of sources.
        case DepthwiseConv2D() if node.window.dilation == (1, 1):
            change = {"weights": node.weights.take(index), "source": node.source[index]}
        case Gather() if node.of_channels:
            change = {"index": node.index[index]}
        case _:
            return None
    operators = (*node.operators, *gather.operators)
    return replace(node, output=gather.output, operators=operators, **change)


def _after(node: Node, gather: Gather) -> Node | None:
    """`gather` and then `node` as one; None where that cannot be."""
    same_rank = node.inputs[0].shape == gather.output.shape
    if not (isinstance(node, Conv2D) and node.groups == 1 and same_rank):
        return None
    values = node.weights.values[..., np.argsort(gather.index)]
    operators = (*gather.operators, *node.operators)
    return replace(node, weights=replace(node.weights, values=values), operators=operators)
