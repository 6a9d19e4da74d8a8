"""Cutting off taps that are zero.

Converters extend kernels by them to place the padding where PyTorch places it.
"""

from dataclasses import replace

import numpy as np

from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.graph.ops.conv_2d import Conv2D
from micronet_mcu.graph.ops.depthwise_conv_2d import DepthwiseConv2D


def cut_zero_taps(graph: Graph) -> Graph:
    """Takes rows and columns of zeros off the borders of kernels."""
    changed: dict[Node, Node | None] = {
        node: _cut(_cut(node, 0), 1)
        for node in graph.nodes
        if isinstance(node, Conv2D | DepthwiseConv2D) and node.window.dilation == (1, 1)
    }
    return graph.exchange(changed)


def _cut(node: Conv2D | DepthwiseConv2D, axis: int) -> Conv2D | DepthwiseConv2D:
    """Removes zero taps at both ends of an axis, 0 or 1.

    What stays must leave the padding at least 0 and no window wholly outside of the image.
    """
    values, window = node.weights.values, node.window
    others = tuple(i for i in range(4) if i != axis + 1)
    used = np.flatnonzero(np.any(values != 0, axis=others))
    if not used.size:
        return node
    pad = window.pad[axis]
    last_window = (node.output.shape[axis + 1] - 1) * window.stride[axis] - pad
    first = min(int(used[0]), pad, node.inputs[0].shape[axis + 1] - 1 - last_window)
    last = max(int(used[-1]), pad)
    kept = np.take(values, range(first, last + 1), axis + 1)
    top, left = (pad - first if i == axis else p for i, p in enumerate(window.pad))
    smaller = replace(window, kernel=kept.shape[1:3], pad=(top, left))
    return replace(node, weights=replace(node.weights, values=kept), window=smaller)
