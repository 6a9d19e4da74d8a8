"""What a row of the table of operators says, and how an operator is read into a node."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from micronet_mcu.graph.demands import Inputs, Options
from micronet_mcu.graph.fixed_point import activation_bounds
from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.value import Value
from micronet_mcu.tflite.model import Model, Operator, Tensor, layer_name

Check = Callable[[Options, Inputs, Tensor], None]


class Operands:
    """One operator of a model while it is read: what its node is made of.

    Attributes:
        options: the operator's.
    """

    def __init__(self, model: Model, operator: Operator, values: dict[int, Value]):
        self._model, self._operator, self._values = model, operator, values
        self.options = operator.options

    def tensor(self, place: int) -> Tensor:
        """The input in this place, which the check has found there."""
        return self._model.tensors[self._operator.inputs[place]]

    def optional(self, place: int) -> Tensor | None:
        """The input in this place; None where it is left out."""
        inputs = self._operator.inputs
        there = place < len(inputs) and inputs[place] >= 0
        return self.tensor(place) if there else None

    def constant(self, place: int) -> np.ndarray:
        """The values of the input in this place; raises Unsupported if they are not known."""
        data = self.tensor(place).data
        if data is None:
            raise Unsupported(f"its input {place} must be a constant")
        return data

    def node(
        self,
        count: int = 1,
        takes: Collection[str] = ("int8",),
        gives: Collection[str] = ("int8",),
    ) -> dict[str, Any]:
        """What every node has, for one that reads the first `count` inputs.

        Raises:
            Unsupported: they, or the output, are not of the types that it `takes` and `gives`, or
                not of one scale.
        """
        inputs = tuple(self.value(self.tensor(place), takes) for place in range(count))
        output = self.value(self.output(0), gives)
        return {"inputs": inputs, "output": output, **self.origin}

    def images(self) -> dict[str, Any]:
        """As `node`, for one image in and one out: batch 1.

        Raises:
            Unsupported: as `node`, or it is another batch.
        """
        ends = self.node()
        for value in (*ends["inputs"], ends["output"]):
            if value.shape[:1] != (1,):
                raise Unsupported(f"shape {list(value.shape)} has not batch 1")
        return ends

    def define(self, data: np.ndarray) -> None:
        """The output is this constant."""
        value = self.value(self.output(0))
        self._values[value.tensor] = replace(value, data=data)

    @property
    def origin(self) -> dict[str, Any]:
        """Of a node: what it stands for, and its name."""
        operator = self._operator
        return {"operators": (operator.index,), "name": layer_name(self._model, operator)}

    @property
    def count(self) -> int:
        """Inputs."""
        return len(self._operator.inputs)

    def output(self, place: int) -> Tensor:
        """The output in this place."""
        return self._model.tensors[self._operator.outputs[place]]

    @property
    def outputs(self) -> list[Tensor]:
        """All outputs."""
        return [self.output(place) for place in range(len(self._operator.outputs))]

    def clamp(self) -> tuple[int, int]:
        """Least and greatest output of the fused activation, in steps."""
        activation = self.options.get("fused_activation_function", "NONE")
        output = self.output(0)
        bounds = activation_bounds(activation, float(output.scale[0]), int(output.zero_point[0]))
        if bounds is None:
            raise Unsupported(f"fused activation {activation} is not supported")
        return bounds

    def value(self, tensor: Tensor, types: Collection[str] = ("int8",)) -> Value:
        """The value of a tensor of these types, of one scale; raises Unsupported for another."""
        scales = 0 if tensor.dtype.kind == "f" else 1
        if tensor.dtype.name not in types or tensor.scale.size != scales:
            raise Unsupported(
                f"tensor {tensor.index} is {tensor.dtype.name} with {tensor.scale.size} scales, "
                f"not {' or '.join(types)} with one scale"
            )
        return value_of(tensor, self._values)


def value_of(tensor: Tensor, values: dict[int, Value]) -> Value:
    """The one value of a tensor."""
    if tensor.index not in values:
        scale, zero_point = (
            (float(tensor.scale[0]), int(tensor.zero_point[0]))
            if (tensor.scale.size == 1)
            else (0.0, 0)
        )
        values[tensor.index] = Value(
            tensor.name, tensor.shape, scale, zero_point, tensor.data, tensor=tensor.index,
            dtype=tensor.dtype,
        )  # fmt: skip
    return values[tensor.index]


@dataclass(frozen=True)
class Op:
    """A builtin operator of TensorFlow Lite.

    Attributes:
        tflite: its name.
        resolver: the method of tflite::MicroMutableOpResolver that adds it.
        check: raises Misfit where its tensors do not fit; None: they are not looked at.
        inputs: the fewest and the most, for the check.
        options: the table of options that it cannot do without.
        read: makes its node or nodes, or raises Unsupported; None: it cannot be compiled.
        several: it may have several outputs.
        uses: which of its inputs are read, by place, where not all are; what only gives others is
            left out.
    """

    tflite: str
    resolver: str
    check: Check | None = None
    inputs: tuple[int, int] = (1, 1)
    options: str | None = None
    read: Callable[[Operands], Node | tuple[Node, ...]] | None = None
    several: bool = False
    uses: tuple[int, ...] | None = None
