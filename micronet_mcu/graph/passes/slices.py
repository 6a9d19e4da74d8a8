"""Slices that need no copy."""

from dataclasses import replace

from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.graph.ops.move import Move


def view_slices(graph: Graph) -> Graph:
    """What a SPLIT, SLICE or UNPACK takes out in one piece becomes a view of its input's bytes.

    The last pass: those before take a node's input for all that another one has written.
    """

    def first() -> Node | None:
        views = (n for n in graph.nodes if isinstance(n, Move) and n.is_slice)
        return next((n for n in views if n.inputs[0].data is None), None)

    while (node := first()) is not None:
        assert isinstance(node, Move)
        source = node.inputs[0]
        view = replace(node.output, base=source.root, offset=source.offset + node.start)
        graph = graph.exchange({node: None}, {node.output: view})
    return graph
