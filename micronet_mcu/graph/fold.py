"""Passes that move work from the board to the compiler, without changing a result.

Zero taps at a kernel's border (converters extend kernels by them to place the padding where PyTorch
places it) are cut off. A permutation of channels (GATHER) is taken in by what stands beside it.
"""

import numpy as np

from micronet_mcu.graph.dy_shift_max import is_channel_gather
from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.tflite.checks import leading_padding


def resolve_windows(graph: Graph) -> None:
    """Turns SAME and VALID into "pad" (top, left), and cuts border taps that are all zero."""
    for node in graph.nodes:
        options = node.attributes
        if node.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            kernel = options["weights"].shape[1:3]
        elif node.kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            kernel = (options["filter_height"], options["filter_width"])
        else:
            continue
        stride = (options["stride_h"], options["stride_w"])
        dilation = tuple(options.get(f"dilation_{axis}_factor", 1) for axis in "hw")
        windows = zip(node.inputs[0].shape[1:3], kernel, stride, dilation, strict=True)
        pad = [leading_padding(*window, options["padding"]) for window in windows]
        if "weights" in options and dilation == (1, 1):
            for axis in (0, 1):
                pad[axis] -= _cut(node, axis + 1, stride[axis], pad[axis])
            kernel = options["weights"].shape[1:3]
        options |= {"stride": stride, "dilation": dilation, "pad": tuple(pad), "kernel": kernel}


def _cut(node: Node, axis: int, stride: int, pad: int) -> int:
    """Removes zero taps at both ends of an axis; returns how many at its start.

    What stays must leave the padding at least 0 and no window wholly outside of the image.
    """
    weights = node.attributes["weights"]
    others = tuple(i for i in range(4) if i != axis)
    used = np.flatnonzero(np.any(weights != 0, axis=others))
    if not used.size:
        return 0
    last_window = (node.output.shape[axis] - 1) * stride - pad
    first = min(int(used[0]), pad, node.inputs[0].shape[axis] - 1 - last_window)
    last = max(int(used[-1]), pad)
    node.attributes["weights"] = np.take(weights, range(first, last + 1), axis)
    return first


def fold_gathers(graph: Graph) -> None:
    """Takes channel GATHERs into their neighbours until none can be moved."""
    while any(_fold(graph, node) for node in graph.nodes if is_channel_gather(node)):
        pass


def _fold(graph: Graph, gather: Node) -> bool:
    index = gather.attributes["constant"]
    before = graph.producer(gather.inputs[0])
    if before is not None and graph.only_consumer(before.output) is gather:
        if before.kind == "DY_SHIFT_MAX" and index.size == before.attributes["source"].size:
            before.attributes["source"] = before.attributes["source"][index]
            return _take_over(graph, before, gather)
        if before.kind in ("CONV_2D", "FULLY_CONNECTED") and _groups(before) == 1:
            _permute_outputs(before, index)
            return _take_over(graph, before, gather)
        if before.kind == "DEPTHWISE_CONV_2D" and _is_prepared(before):
            source = _sources(before)[index]
            _permute_outputs(before, index, axis=3)
            before.attributes["source"] = source
            return _take_over(graph, before, gather)
        if is_channel_gather(before):
            before.attributes["constant"] = before.attributes["constant"][index]
            return _take_over(graph, before, gather)
    after = graph.only_consumer(gather.output)
    if after is None or not _is_permutation(index) or gather.output.root is graph.output.root:
        return False
    same_rank = after.inputs[0].shape == gather.output.shape
    if after.kind == "CONV_2D" and _groups(after) == 1 and same_rank:
        after.attributes["weights"] = after.attributes["weights"][..., np.argsort(index)]
        graph.substitute(gather.output, gather.inputs[0])
        graph.nodes.remove(gather)
        return True
    return False


def _is_prepared(depthwise: Node) -> bool:
    """Whether a kernel with a table of sources takes it; the plain one has none."""
    return depthwise.attributes["dilation"] == (1, 1)


def _sources(depthwise: Node) -> np.ndarray:
    """The input channel of each output channel."""
    source = depthwise.attributes.get("source")
    if source is not None:
        return source
    outputs = depthwise.output.channels
    return np.arange(outputs) // (outputs // depthwise.inputs[0].channels)


def _permute_outputs(layer: Node, index: np.ndarray, axis: int = 0) -> None:
    """Output channel j of a convolution or dense layer becomes what channel index[j] was."""
    options = layer.attributes
    options["weights"] = np.take(options["weights"], index, axis)
    if options["bias"] is not None:
        options["bias"] = options["bias"][index]
    if options["weight_scales"].size > 1:
        options["weight_scales"] = options["weight_scales"][index]


def _take_over(graph: Graph, node: Node, gather: Node) -> bool:
    node.output = gather.output
    node.label = f"{node.label} + {gather.label.split('(')[0].strip()}"
    graph.nodes.remove(gather)
    return True


def _groups(layer: Node) -> int:
    if layer.kind == "FULLY_CONNECTED":
        return 1
    return layer.inputs[0].channels // layer.attributes["weights"].shape[3]


def _is_permutation(index: np.ndarray) -> bool:
    return np.array_equal(np.sort(index), np.arange(index.size))
