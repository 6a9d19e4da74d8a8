"""What a row of the table of operators says, and how an operator is read into a node."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
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
            raise Unsupported("its second input must be a constant")
        return data

    def node(
        self, count: int = 1, constants: bool = False,
        takes: Collection[str] = ("int8",), gives: Collection[str] = ("int8",),
    ) -> dict[str, Any]:  # fmt: skip
        """What every node has, for one that reads the first `count` inputs.

        Raises:
            Unsupported: they, or the output, are not of the types that it `takes` and `gives`, or
                not of one scale and batch 1; or one is a constant, without leave for `constants`.
        """
        inputs = tuple(self._value(self.tensor(place), takes) for place in range(count))
        if not constants and any(value.data is not None for value in inputs):
            raise Unsupported("its input is a constant")
        output = self._value(self._model.tensors[self._operator.outputs[0]], gives)
        operator = self._operator
        name = layer_name(self._model, operator)
        return {"inputs": inputs, "output": output, "operators": (operator.index,), "name": name}

    def clamp(self) -> tuple[int, int]:
        """Least and greatest output of the fused activation, in steps."""
        activation = self.options.get("fused_activation_function", "NONE")
        output = self._model.tensors[self._operator.outputs[0]]
        bounds = activation_bounds(activation, float(output.scale[0]), int(output.zero_point[0]))
        if bounds is None:
            raise Unsupported(f"fused activation {activation} is not supported")
        return bounds

    def _value(self, tensor: Tensor, types: Collection[str]) -> Value:
        scales = 0 if tensor.dtype.kind == "f" else 1
        if tensor.dtype.name not in types or tensor.scale.size != scales:
            raise Unsupported(
                f"tensor {tensor.index} is {tensor.dtype.name} with {tensor.scale.size} scales, "
                f"not {' or '.join(types)} with one scale"
            )
        if tensor.data is None and (not tensor.shape or tensor.shape[0] != 1):
            raise Unsupported(f"shape {list(tensor.shape)} has not batch 1")
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
        read: makes its node, or raises Unsupported; None: it cannot be compiled.
    """

    tflite: str
    resolver: str
    check: Check | None = None
    inputs: tuple[int, int] = (1, 1)
    options: str | None = None
    read: Callable[[Operands], Node] | None = None
