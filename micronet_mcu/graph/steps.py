"""The steps that C will run: the kernel of every node, with its parameters."""

from micronet_mcu.errors import UserError
from micronet_mcu.graph.graph import Graph, Node, Unsupported
from micronet_mcu.graph.program import Step

_LARGEST = 32767


def steps_of(graph: Graph) -> list[Step]:
    """Raises UserError, with the layer's name, operator and shapes, where no kernel can do it."""
    return [_step(node) for node in graph.nodes]


def _step(node: Node) -> Step:
    try:
        largest = max(n for v in (*node.inputs, node.output) for n in v.shape)
        if largest > _LARGEST:
            raise Unsupported(f"its size {largest} is beyond the kernels' {_LARGEST}")
        return node.step()
    except Unsupported as reason:
        raise UserError(f"cannot compile {node}: {reason}") from None
