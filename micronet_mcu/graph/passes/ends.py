"""The conversions at the ends of a network."""

from dataclasses import replace

from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.graph.ops.quantize import Dequantize, Quantize
from micronet_mcu.graph.value import INT8, Value


def bare_ends(graph: Graph) -> Graph:
    """Leaves to the caller the QUANTIZE of inputs that are not int8 and what makes outputs other
    than int8. One of another reader, or without such an operator, stays as it is."""
    gone: set[Node] = set()
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    for i, value in enumerate(inputs):
        node = graph.only_consumer(value)
        if value.dtype != INT8 and type(node) is Quantize and node.output.dtype == INT8:
            gone.add(node)
            inputs[i] = node.output
    made = {node.output for node in graph.nodes if node not in gone}
    for i, value in enumerate(outputs):
        node = graph.producer(value)
        if value.dtype == INT8 or not isinstance(node, Dequantize | Quantize):
            continue
        source: Value = node.inputs[0]
        if source.dtype == INT8 and source.root in made and not graph.consumers(value):
            gone.add(node)
            outputs[i] = source
    nodes = tuple(node for node in graph.nodes if node not in gone)
    return replace(graph, nodes=nodes, inputs=tuple(inputs), outputs=tuple(outputs))
