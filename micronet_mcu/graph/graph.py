"""The int8 graph: frozen nodes and values. Passes (`micronet_mcu.graph.passes`) make new graphs.

What a node computes is its class; `micronet_mcu.graph.ops` has one file for each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from micronet_mcu.graph.program import Call, Step
from micronet_mcu.graph.value import Value
from micronet_mcu.shown import Shown, size_text, some_of
from micronet_mcu.tflite.model import State


class Unsupported(Exception):
    """An operator or a node that cannot be compiled; the message says why."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
        inputs: what it reads, constants too; weights are no inputs.
        output: what it writes.
        operators: the operators of the flatbuffer that it stands for, by index.
        name: the layer's, for messages and reports.
        kind: of the class: TensorFlow Lite's name of the operator.
    """

    kind: ClassVar[str] = ""

    inputs: tuple[Value, ...]
    output: Value
    operators: tuple[int, ...]
    name: str

    @property
    def outputs(self) -> tuple[Value, ...]:
        """All that it writes."""
        return (self.output,)

    def problems(self) -> Iterator[str]:
        """What of the node contradicts itself; for `verify`."""
        yield from ()

    def step(self) -> Step:
        """The call of the kernel that does it.

        Raises:
            Unsupported: no kernel can.
        """
        raise Unsupported("there is no kernel for it")

    def made(self, call: Call, **more: Any) -> Step:
        """A step that makes `call`; `more` as of `Step`."""
        inputs = tuple(value for value in self.inputs if value.data is None)
        return Step(self.name, self.origin, call, inputs, self.output, **more)

    @property
    def origin(self) -> str:
        """What it stands for: "operator 14 CONV_2D", "operators 12..20 DY_SHIFT_MAX"."""
        first, last = min(self.operators), max(self.operators)
        indices = f"operator {first}" if first == last else f"operators {first}..{last}"
        return f"{indices} {self.kind}"

    def __str__(self) -> str:
        """For messages: name, operators, shapes."""
        shapes = ", ".join("x".join(map(str, value.shape)) for value in self.inputs)
        output = "x".join(map(str, self.output.shape))
        text = f"{self.origin} ({shapes} -> {output})"
        return text if self.name == self.origin else f"{self.name}, {text}"


@dataclass(frozen=True, eq=False)
class Foreign(Node):
    """An operator that is only passed on: of another type than int8, or unknown.

    Attributes:
        more: further outputs.
    """

    kind: ClassVar[str] = "(not compiled)"

    more: tuple[Value, ...] = field(default=())

    @property
    def outputs(self) -> tuple[Value, ...]:
        return (self.output, *self.more)


@dataclass(frozen=True, eq=False, repr=False)
class Graph(Shown):
    """Nodes in a runnable order, from the inputs to the outputs; `name` is for messages.

    A graph that keeps something from run to run has it among its inputs and its outputs: the last
    ones of each, in the order of `states`.

    Example:

    >>> x = Value("x", (1, 4), 0.1, 0)
    >>> y = Value("y", (1, 4), 0.1, 0)
    >>> graph = Graph((Node((x,), y, (0,), "activation"),), (x,), (y,))
    >>> graph.producer(y).name
    'activation'
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    name: str = "model"
    states: tuple[State, ...] = ()

    def facts(self) -> list[tuple[str, str]]:
        return [
            ("name", self.name),
            ("inputs", some_of([size_text(value.shape) for value in self.inputs])),
            ("outputs", some_of([size_text(value.shape) for value in self.outputs])),
            ("nodes", f"{len(self.nodes)}: {some_of(sorted({node.kind for node in self.nodes}))}"),
        ]

    def consumers(self, value: Value) -> list[Node]:
        """The nodes that read a value or a view of it."""
        root = value.root
        return [node for node in self.nodes if any(v.root is root for v in node.inputs)]

    def producer(self, value: Value) -> Node | None:
        """The node that writes a value; None for inputs and for constants."""
        root = value.root
        return next((node for node in self.nodes if any(v is root for v in node.outputs)), None)

    def only_consumer(self, value: Value) -> Node | None:
        """The one node that reads a value, if it is one and the value is no output."""
        users = self.consumers(value)
        return users[0] if len(users) == 1 and not self.is_output(value) else None

    def is_output(self, value: Value) -> bool:
        """Whether the model gives out a value or a view of it."""
        return any(output.root is value.root for output in self.outputs)

    def exchange(
        self, nodes: Mapping[Node, Node | None], values: Mapping[Value, Value] | None = None
    ) -> "Graph":
        """A new graph.

        Args:
            nodes: which node gives way to which; None takes it out.
            values: who reads the key, or a view of it, reads the other in the same shape.
        """
        values = values or {}

        def read(value: Value) -> Value:
            if value in values:
                return values[value]
            base = values.get(value.base) if value.base else None
            if base is None:
                return value
            return replace(value, base=base.root, offset=base.offset + value.offset)

        changed = []
        for node in (nodes.get(node, node) for node in self.nodes):
            if node is not None:
                inputs = tuple(map(read, node.inputs))
                same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
                changed.append(node if same else replace(node, inputs=inputs))
        outputs = tuple(map(read, self.outputs))
        return replace(self, nodes=tuple(changed), outputs=outputs)
