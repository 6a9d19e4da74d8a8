"""The steps that C will run: the kernel of every node, with its parameters."""

from micronet_mcu.errors import UserError
from micronet_mcu.graph.graph import Graph, Node, Unsupported
from micronet_mcu.graph.obstacles import Obstacles
from micronet_mcu.graph.program import Step

_LARGEST = 32767


def steps_of(graph: Graph) -> list[Step]:
    """Raises UserError, with the layers' names, operators and shapes, where no kernel can do it."""
    obstacles, steps = Obstacles(graph.name), []
    for node in graph.nodes:
        try:
            steps.append(_step(node))
        except Unsupported as reason:
            obstacles.add(node.kind, str(node), str(reason))
    if obstacles:
        raise UserError(obstacles.message())
    return steps


def _step(node: Node) -> Step:
    largest = max((n for v in (*node.inputs, node.output) for n in v.shape), default=1)
    if largest > _LARGEST:
        raise Unsupported(f"its size {largest} is beyond the kernels' {_LARGEST}")
    return node.step()
