"""The compiler's own graph: int8 values and nodes, made from a flatbuffer, changed by passes."""

from dataclasses import dataclass, field, replace

import numpy as np

from micronet_mcu.errors import UserError
from micronet_mcu.tflite.model import Model, Operator, Tensor


@dataclass(frozen=True, eq=False)
class Value:
    """An int8 activation, or a constant when `data` is there. `scale` is per tensor.

    A value with a `base` is a view: the same bytes under another shape.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    data: np.ndarray | None = None
    base: "Value | None" = None

    @property
    def root(self) -> "Value":
        """The value that owns the bytes."""
        return self.base or self

    @property
    def size(self) -> int:
        """Bytes, one an element."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def channels(self) -> int:
        return self.shape[-1] if self.shape else 1

    @property
    def quantization(self) -> tuple[float, int]:
        return self.scale, self.zero_point


@dataclass(eq=False)
class Node:
    """One operator.

    Attributes:
        kind: the builtin operator's name, or "DY_SHIFT_MAX" for a fused group.
        inputs: activations, in the operator's order; constant operands of ADD or MUL too.
        output: what it writes.
        attributes: the operator's options, and for layers with weights "weights" (int8),
            "weight_scales" (float64, per channel or one), "bias" (int32 or None).
        label: the operators it came from, for messages and reports.
    """

    kind: str
    inputs: list[Value]
    output: Value
    attributes: dict = field(default_factory=dict)
    label: str = ""


@dataclass(eq=False)
class Graph:
    """Nodes in a runnable order, from one input to one output."""

    nodes: list[Node]
    input: Value
    output: Value

    def consumers(self, value: Value) -> list[Node]:
        root = value.root
        return [node for node in self.nodes if any(v.root is root for v in node.inputs)]

    def producer(self, value: Value) -> Node | None:
        return next((node for node in self.nodes if node.output is value.root), None)

    def only_consumer(self, value: Value) -> Node | None:
        """The one node that reads `value`, if it is one and the value is not the model's output."""
        users = self.consumers(value)
        return users[0] if len(users) == 1 and value.root is not self.output.root else None

    def substitute(self, old: Value, new: Value) -> None:
        """Everybody who read `old`, or a view of it, reads `new` in the same shape."""

        def changed(value: Value) -> Value:
            if value is old:
                return new
            return replace(value, base=new.root) if value.base is old else value

        for node in self.nodes:
            node.inputs = [changed(v) for v in node.inputs]
        self.output = changed(self.output)


_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_PLAIN = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "ADD", "MUL", "MAXIMUM", "MINIMUM",
          "HARD_SWISH", "RELU", "RELU6", "SOFTMAX", "RESHAPE", "GATHER", "PAD",
          "QUANTIZE", "RESIZE_BILINEAR")  # fmt: skip
SUPPORTED = (*_WEIGHTED, *_PLAIN)


def graph_of(model: Model) -> Graph:
    """Builds the compiler's graph.

    Raises:
        UserError: the model is not int8 from one input to one output with batch 1, or an operator
            is not supported; the message names the operator, its index and its shapes.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "compiled code has one of each"
        )
    for what, index in (("input", model.inputs[0]), ("output", model.outputs[0])):
        tensor = model.tensors[index]
        if tensor.dtype != np.int8 or not tensor.scale.size:
            raise UserError(
                f"the model's {what} is {tensor.dtype.name}, not quantized int8; convert it with "
                "int8 input and output (full integer quantization)"
            )
    if model.tensors[model.inputs[0]].shape[:1] != (1,):
        shape = list(model.tensors[model.inputs[0]].shape)
        raise UserError(f"the model's input has shape {shape}; compiled code runs one image a time")
    values: dict[int, Value] = {}
    nodes = []
    for operator in model.operators:
        if operator.name not in SUPPORTED:
            raise UserError(f"cannot compile {model.shapes(operator)}: supported are "
                            f"{', '.join(sorted(SUPPORTED))}")  # fmt: skip
        nodes.append(_node(model, operator, values))
    return Graph(nodes, values[model.inputs[0]], values[model.outputs[0]])


def refuse(model: Model, operator: Operator, reason: str) -> UserError:
    """The error for an operator that cannot be compiled."""
    return UserError(f"cannot compile {model.shapes(operator)}: {reason}")


def _node(model: Model, operator: Operator, values: dict[int, Value]) -> Node:
    tensors = [model.tensors[i] for i in operator.inputs if i >= 0]
    output = model.tensors[operator.outputs[0]]
    attributes = dict(operator.options)
    if operator.name in _WEIGHTED:
        attributes |= _weights(model, operator)
        activations = tensors[:1]
    elif operator.name in ("GATHER", "PAD", "MEAN", "RESIZE_BILINEAR"):
        if tensors[1].data is None:
            raise refuse(model, operator, "its second input must be a constant")
        attributes["constant"] = tensors[1].data
        activations = tensors[:1]
    elif operator.name == "RESHAPE":
        activations = tensors[:1]
    else:
        activations = tensors
    for tensor in (*activations, output):
        if tensor.dtype != np.int8 or tensor.scale.size != 1:
            raise refuse(
                model, operator,
                f"tensor {tensor.index} is {tensor.dtype.name} with {tensor.scale.size} scales, "
                "not int8 with one scale",
            )  # fmt: skip
        if tensor.data is None and (not tensor.shape or tensor.shape[0] != 1):
            raise refuse(model, operator, f"shape {list(tensor.shape)} has not batch 1")
    inputs = [values.setdefault(t.index, _value(t)) for t in activations]
    written = values.setdefault(output.index, _value(output))
    return Node(operator.name, inputs, written, attributes, model.shapes(operator))


def _value(tensor: Tensor) -> Value:
    return Value(
        tensor.name, tensor.shape, float(tensor.scale[0]), int(tensor.zero_point[0]), tensor.data
    )


def _weights(model: Model, operator: Operator) -> dict:
    filter_ = model.tensors[operator.inputs[1]]
    bias = model.tensors[operator.inputs[2]] if operator.inputs[2:] not in ((), (-1,)) else None
    if filter_.data is None or (bias is not None and bias.data is None):
        raise refuse(model, operator, "its weights must be constants")
    if filter_.zero_point.any():
        raise refuse(model, operator, "its weights have a zero point, int8 weights must not")
    return {
        "weights": filter_.data,
        "weight_scales": filter_.scale.astype(np.float64),
        "bias": None if bias is None else bias.data.ravel(),
    }


def remove_reshapes(graph: Graph) -> None:
    """A RESHAPE moves nothing: its output becomes a view of its input's bytes."""
    for node in [n for n in graph.nodes if n.kind == "RESHAPE"]:
        graph.nodes.remove(node)
        graph.substitute(node.output, replace(node.output, base=node.inputs[0].root))
