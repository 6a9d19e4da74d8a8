"""From a file to a checked model, and from the model to the int8 graph."""

import contextlib
from typing import Any

from micronet_mcu.errors import UserError
from micronet_mcu.graph.demands import Misfit, demand
from micronet_mcu.graph.graph import Foreign, Graph, Node, Unsupported
from micronet_mcu.graph.obstacles import Obstacles, kind_of
from micronet_mcu.graph.op import Operands, value_of
from micronet_mcu.graph.ops import COMPILED, OPS
from micronet_mcu.graph.ops.reshape import Reshape
from micronet_mcu.graph.value import Value
from micronet_mcu.tflite.model import Model, Operator
from micronet_mcu.tflite.reader import parse_model


def read_model(source: Any) -> Model:
    """Reads and validates a `.tflite` file.

    Whatever passes may be handed to an interpreter: offsets and lengths lie inside the file,
    indices are in range, constants are as long as their shapes say, operators are in a runnable
    order, and the operators that this package knows have tensors whose shapes fit together.

    Args:
        source: a path, the file's bytes, or another form of `flatbuffer_bytes`.

    Returns:
        The model as plain frozen dataclasses; constants are views of the bytes, not copies.

    Raises:
        UserError: no such file, not a TensorFlow Lite file, corrupt, truncated, or a feature that
            is not supported (several subgraphs, sparse or string tensors, recurrent state, ...).

    Example:

    >>> model = read_model("model.tflite")
    >>> [operator.name for operator in model.operators]
    ['CONV_2D', 'DEPTHWISE_CONV_2D', ...]
    >>> model.tensors[model.inputs[0]].shape
    (1, 32, 32, 3)
    """
    model = parse_model(source)
    for operator in model.operators:
        problem = misfit(model, operator)
        kind = kind_of(model, operator) if problem else None
        if kind:
            raise UserError(f"{model.name}: {kind}, which is not supported; int8 graphs are")
        if problem:
            raise UserError(
                f"{model.name}: not a usable TensorFlow Lite model: "
                f"{model.shapes(operator)}: {problem}"
            )
    return model


def misfit(model: Model, operator: Operator) -> str | None:
    """What is wrong with an operator, or None. Operators that have no check pass."""
    op = OPS.get(operator.name)
    if op is None or op.check is None and op.read is None:
        return None
    least, most = op.inputs
    try:
        demand(least <= len(operator.inputs) <= most, f"takes {least} to {most} inputs")
        demand(op.several or len(operator.outputs) == 1, "has one output")
        demand(all(i >= 0 for i in operator.inputs[:least]), "lacks an input that it needs")
        if op.options:
            demand(operator.options.get("type") == op.options, f"lacks its {op.options}")
        inputs = [model.tensors[i] if i >= 0 else None for i in operator.inputs]
        if op.check:
            op.check(operator.options, inputs, model.tensors[operator.outputs[0]])
    except Misfit as problem:
        return str(problem)
    return None


def graph_of(model: Model) -> Graph:
    """The graph of a model that can be compiled.

    Raises:
        UserError: the model is not int8 inside with batch 1, or an operator is not supported; the
            message names the layer, the operator, its index and its shapes.

    Example:

    >>> graph = graph_of(read_model("model.tflite"))
    >>> graph.nodes[0].kind, graph.nodes[0].window.stride
    ('CONV_2D', (2, 1))
    """
    obstacles = Obstacles(model.name)
    for tensor in (model.tensors[i] for i in model.inputs):
        if tensor.shape[:1] != (1,):
            why = "compiled code runs one image a time"
            obstacles.add("input", f"the model's input of shape {list(tensor.shape)}", why)
    values: dict[int, Value] = {}
    nodes: list[Node] = []
    for operator in _needed(model):
        try:
            nodes += _nodes(model, operator, values)
        except Unsupported as reason:
            why = kind_of(model, operator) or str(reason)
            obstacles.add(operator.title, model.describe(operator), why)
    inputs, outputs = _ends(model, values)
    if any(value.data is not None or value in inputs for value in outputs):
        why = "it is a constant or an input, there is nothing to compile"
        obstacles.add("output", "an output of the model", why)
    if obstacles:
        _add_kernels(obstacles, nodes)
        unknown = any(operator.name not in COMPILED for operator in _needed(model))
        known = [f"supported are {', '.join(COMPILED)}"] if unknown else []
        raise UserError(obstacles.message(known))
    return Graph(tuple(nodes), inputs, outputs, model.name, model.states)


def _add_kernels(obstacles: Obstacles, nodes: list[Node]) -> None:
    """Adds nodes that no kernel can do, where there are other obstacles already."""
    for node in nodes:
        try:
            if not isinstance(node, Reshape):
                node.step()
        except Unsupported as reason:
            obstacles.add(node.kind, str(node), str(reason))


def partial_graph_of(model: Model) -> Graph:
    """The graph of any model: what cannot be compiled becomes a `Foreign` node.

    Raises:
        UserError: it keeps something from run to run.
    """
    if model.states:
        raise UserError(f"{model.name}: recurrent state is supported by compiled C only")
    values: dict[int, Value] = {}
    nodes: list[Node] = []
    for operator in model.operators:
        made: tuple[Node, ...] = ()
        with contextlib.suppress(Unsupported):
            made = _nodes(model, operator, values)
        if len(made) == 1:
            nodes += made
        else:
            inputs = [value_of(model.tensors[i], values) for i in operator.inputs if i >= 0]
            output, *more = (value_of(model.tensors[i], values) for i in operator.outputs)
            name = model.describe(operator)
            nodes.append(Foreign(tuple(inputs), output, (operator.index,), name, tuple(more)))
    return Graph(tuple(nodes), *_ends(model, values))


def _nodes(model: Model, operator: Operator, values: dict[int, Value]) -> tuple[Node, ...]:
    op = OPS.get(operator.name)
    if op is None or op.read is None:
        raise Unsupported("not supported")
    made = op.read(Operands(model, operator, values))
    return made if isinstance(made, tuple) else (made,)


def _needed(model: Model) -> list[Operator]:
    """The operators whose results are read: what only computes shapes, which are known, is not."""
    needed, found = {*model.outputs, *(state.after for state in model.states)}, []
    for operator in reversed(model.operators):
        if needed.isdisjoint(operator.outputs):
            continue
        found.append(operator)
        op = OPS.get(operator.name)
        inputs = operator.inputs
        needed.update(inputs if op is None or op.uses is None else (inputs[i] for i in op.uses))
    return found[::-1]


def _ends(model: Model, values: dict[int, Value]) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """The values of the model's inputs and outputs, and behind them of its states."""
    inputs = [*model.inputs, *(state.before for state in model.states)]
    outputs = [*model.outputs, *(state.after for state in model.states)]
    return (tuple(value_of(model.tensors[i], values) for i in inputs),
            tuple(value_of(model.tensors[i], values) for i in outputs))  # fmt: skip
