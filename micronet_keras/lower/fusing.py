"""Clips and paddings made part of the nodes around them."""

from __future__ import annotations

import dataclasses

from micronet_keras.lower.graph import (
    RELU,
    RELU6,
    Add,
    Bound,
    Conv,
    Dense,
    DepthwiseConv,
    DYShiftMax,
    Graph,
    Multiply,
    Pad,
    Subtract,
)


def fuse_bounds(graph: Graph) -> Graph:
    """Returns an equal graph in which a `Bound` is part of the node before it where that can clip.

    It can when nothing else reads that node. TFLM has an operator of its own for the others.
    """
    readers = graph.consumers()
    result = Graph(graph.packed_classes)
    stored: dict[str, str] = {}
    for node in graph:
        node = dataclasses.replace(node, inputs=tuple(stored[name] for name in node.inputs))
        if isinstance(node, Bound):
            producer = result[node.inputs[0]]
            shared = len(readers[producer.name]) > 1 or producer.name in graph.outputs
            if not shared and _can_clip(producer, node):
                low, high = getattr(producer, "clip", None) or node.clip
                clip = (max(low, node.clip[0]), min(high, node.clip[1]))
                result.replace(dataclasses.replace(producer, clip=clip))
                stored[node.name] = producer.name
                continue
        stored[node.name] = result.add(node)
    result.outputs = [stored[name] for name in graph.outputs]
    return result


def _can_clip(producer, bound: Bound) -> bool:
    if isinstance(producer, DYShiftMax):
        return producer.clip is None and bound.clip in (RELU, RELU6)
    return isinstance(producer, Conv | DepthwiseConv | Dense | Add | Subtract | Multiply | Bound)


def fold_padding(graph: Graph) -> Graph:
    """Returns an equal graph in which a `Pad` before a convolution is its "same" padding.

    Only where "same" pads just as much; TFLM has an operator of its own for the others.
    """
    result = graph.rebuilt()
    for node in graph:
        if not isinstance(node, Conv | DepthwiseConv) or node.padding != "valid":
            continue
        pad = graph[node.inputs[0]]
        if not isinstance(pad, Pad):
            continue
        source = pad.inputs[0]
        same = dataclasses.replace(node, inputs=(source,), padding="same")
        if same.same_padding(graph.shape(source)[:2]) == (pad.rows, pad.columns) and (
            same.shape_of(graph.shape(source)) == graph.shape(node.name)
        ):
            result.replace(same)
    return result.rebuilt()
