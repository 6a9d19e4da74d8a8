"""PAD is taken in by the windows behind it, whose own padding is as good and takes no memory."""

from dataclasses import replace

from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.graph.ops.conv_2d import Conv2D
from micronet_mcu.graph.ops.depthwise_conv_2d import DepthwiseConv2D
from micronet_mcu.graph.ops.pad import Pad
from micronet_mcu.graph.ops.pool_2d import MaxPool2D
from micronet_mcu.graph.window import Window

_Windowed = Conv2D | DepthwiseConv2D | MaxPool2D


def fold_pads(graph: Graph) -> Graph:
    """Takes out every PAD of rows and columns whose readers all can pad themselves."""
    for pad in [node for node in graph.nodes if isinstance(node, Pad)]:
        # Another pad before this one may have given it another input.
        node = graph.producer(pad.output)
        assert isinstance(node, Pad)
        readers = graph.consumers(node.output)
        padded = {reader: _padded(graph, node, reader) for reader in readers}
        if graph.is_output(node.output) or not readers or None in padded.values():
            continue
        graph = graph.exchange({**padded, node: None}, {node.output: node.inputs[0]})
    return graph


def _padded(graph: Graph, pad: Pad, node: Node) -> Node | None:
    """The node with its window over the input of `pad`; None where that computes another thing."""
    x = pad.inputs[0]
    if not isinstance(node, _Windowed) or node.inputs[0] is not pad.output:
        return None
    if x.quantization != pad.output.quantization or len(x.shape) != 4 or pad.amounts[[0, 3]].any():
        return None
    if not _is_neutral(graph, pad, node):
        return None
    window = _moved(node.window, int(pad.amounts[1, 0]), int(pad.amounts[2, 0]))
    for axis in (0, 1):
        last = (node.output.shape[axis + 1] - 1) * window.stride[axis] - window.pad[axis]
        # No window may lie outside of the image wholly.
        if window.pad[axis] >= window.kernel[axis] or last >= x.shape[axis + 1]:
            return None
    operators = (*pad.operators, *node.operators)
    return replace(node, window=window, operators=operators)


def _is_neutral(graph: Graph, pad: Pad, node: Node) -> bool:
    """Whether what is padded counts as nothing."""
    value = pad.output.zero_point if pad.value is None else pad.value
    if isinstance(node, MaxPool2D):
        return value <= _least(graph, pad)
    return value == pad.output.zero_point


def _least(graph: Graph, pad: Pad) -> int:
    """A value that none in the pad's input is below."""
    producer = graph.producer(pad.inputs[0])
    if producer is not None and producer.output is pad.inputs[0]:
        return int(getattr(producer, "clamp", (-128,))[0])
    return -128


def _moved(window: Window, rows: int, columns: int) -> Window:
    top, left = window.pad
    return replace(window, pad=(top + rows, left + columns))
