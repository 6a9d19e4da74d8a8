"""RESHAPE moves nothing."""

from dataclasses import replace

from micronet_mcu.graph.graph import Graph
from micronet_mcu.graph.ops.reshape import Reshape


def remove_reshapes(graph: Graph) -> Graph:
    """The output of every RESHAPE becomes a view of its input's bytes."""
    while (node := next((n for n in graph.nodes if isinstance(n, Reshape)), None)) is not None:
        source = node.inputs[0]
        view = replace(node.output, base=source.base or source, offset=source.offset)
        if source.data is not None:
            view = replace(node.output, data=source.data.reshape(node.output.shape))
        graph = graph.exchange({node: None}, {node.output: view})
    return graph
