"""Checks that a graph is sound: a pass that breaks it shows at once, not in a wrong output."""

from micronet_mcu.graph.graph import Graph
from micronet_mcu.graph.value import Value


def verify(graph: Graph) -> Graph:
    """Returns the graph.

    Raises:
        ValueError: a value is read before it is written, or written twice, a view is larger than
            what it looks at, or a node contradicts itself.

    Example:

    >>> nothing = Graph((), (Value("x", (1, 4), 0.1, 0),), ())
    >>> verify(nothing) is nothing
    True
    """
    written = set(graph.inputs)
    for node in graph.nodes:
        for value in node.inputs:
            _check_view(value)
            if value.root not in written and value.root.data is None:
                raise ValueError(f"Values must be written first. Received: {node}, {value.name!r}")
        for value in node.outputs:
            if value in written or value.base is not None:
                raise ValueError(f"Values are written once. Received: {node}, {value.name!r}")
            written.add(value)
        for problem in node.problems():
            raise ValueError(f"Nodes must be sound. Received: {node}: {problem}")
    for value in graph.outputs:
        _check_view(value)
        if value.root not in written:
            raise ValueError(f"Outputs must be written. Received: {value.name!r}")
    return graph


def _check_view(value: Value) -> None:
    end = value.offset + value.nbytes
    if not 0 <= value.offset < end <= value.root.nbytes or value.root.base is not None:
        raise ValueError(f"Views must lie in their base. Received: {value.name!r}")
