"""A planned program: what is written as C."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from micronet_mcu.csource import unique_identifiers
from micronet_mcu.graph.graph import Graph
from micronet_mcu.graph.program import Step
from micronet_mcu.graph.value import Value
from micronet_mcu.shown import Shown, bytes_text, size_text, some_of
from micronet_mcu.tflite.model import readable_name
from micronet_mcu.to_c.memory import Arena

# What follows the prefix in names that every compiled model, or its firmware, has.
RESERVED = ("input", "output", "invoke", "selftest", "selftest_output", "data", "labels",
            "reset", "test_input", "test_output")  # fmt: skip


C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "float32": "float"}


@dataclass(frozen=True, eq=False)
class End:
    """An input or an output of the network, as the caller in C sees it.

    Attributes:
        name: "input" or "output", and which where there are several: "output_boxes".
        value: what it is.
        quantization: (scale, zero point) of what a float is quantized to or comes from.
    """

    name: str
    value: Value
    quantization: tuple[float, int]

    @property
    def ctype(self) -> str:
        """Of its elements in C."""
        return C_TYPES[self.value.dtype.name]

    @property
    def short(self) -> str:
        """What the argument in C is called: "in", "out_boxes"."""
        return self.name.replace("put", "", 1)


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept from one run to the next.

    Attributes:
        name: what C calls it.
        before, after: what a run begins with, and what it leaves.
        initial: int8, what the first run begins with.
    """

    name: str
    before: Value
    after: Value
    initial: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Program(Shown):
    """Steps and their places in the arena.

    Attributes:
        origin: the name of the file that it was made from, for comments.
        inputs, outputs: of the network.
        steps: in the order in which they run.
        arena: where every activation lies.
        kept: what lies outside of it, from run to run.
    """

    origin: str
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    steps: list[Step]
    arena: Arena
    kept: tuple[Kept, ...] = ()

    @property
    def kept_bytes(self) -> int:
        """Of SRAM, beside the arena."""
        return sum(one.before.nbytes for one in self.kept)

    def facts(self) -> list[tuple[str, str]]:
        macs = sum(step.macs for step in self.steps)
        return [
            ("from", self.origin),
            ("inputs", some_of([size_text(end.value.shape) for end in self.inputs])),
            ("outputs", some_of([size_text(end.value.shape) for end in self.outputs])),
            ("calls of kernels", f"{len(self.steps)}, {macs:,} multiply-accumulates"),
            ("arena", bytes_text(self.arena.plan.size)),
        ]

    @property
    def ends(self) -> tuple[End, ...]:
        """Inputs, then outputs."""
        return (*self.inputs, *self.outputs)

    @property
    def no_arguments(self) -> str:
        """C for what <name>_invoke takes where the caller reads and writes the arena itself."""
        return ", ".join("0" for _ in self.ends)

    def identifiers(self) -> list[str]:
        """What C calls each step: its layer's name, with a number where that is not the only one or
        is that of a function."""
        reserved = (*RESERVED, *(end.name for end in self.ends))
        return unique_identifiers((step.name for step in self.steps), reserved)


def ends_of(graph: Graph, what: str, values: Sequence[Value]) -> tuple[End, ...]:
    """The inputs or the outputs of a graph. Their names: `what` for one, else by tensor, or by
    number where those have no names that say anything."""
    if len(values) == 1:
        names = [what]
    else:
        texts = [f"{what} {readable_name(v.name) or i}" for i, v in enumerate(values)]
        names = unique_identifiers(texts)
    return tuple(
        End(name, value, _quantization(graph, value))
        for name, value in zip(names, values, strict=True)
    )


def kept_of(graph: Graph) -> tuple[Kept, ...]:
    """What a graph keeps."""
    if not graph.states:
        return ()
    count = len(graph.states)
    names = unique_identifiers(state.name for state in graph.states)
    return tuple(
        Kept(name, before, after, state.initial.ravel())
        for name, before, after, state in zip(
            names, graph.inputs[-count:], graph.outputs[-count:], graph.states, strict=True
        )
    )


def _quantization(graph: Graph, value: Value) -> tuple[float, int]:
    if value.dtype.kind != "f":
        return value.quantization
    producer = graph.producer(value)
    inside = producer.inputs[0] if producer else graph.consumers(value)[0].output
    return inside.quantization
