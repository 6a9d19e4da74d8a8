"""RESHAPE moves nothing."""

from dataclasses import replace

from micronet_mcu.graph.graph import Graph
from micronet_mcu.graph.ops.reshape import Reshape


def remove_reshapes(graph: Graph) -> Graph:
    """The output of every RESHAPE becomes a view of its input's bytes."""
    for node in [node for node in graph.nodes if isinstance(node, Reshape)]:
        # The graph may have changed since: what it reads may be a view by now.
        now = graph.producer(node.output)
        view = replace(node.output, base=now.inputs[0].root)
        graph = graph.exchange({now: None}, {node.output: view})
    return graph
