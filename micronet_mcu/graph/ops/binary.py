"""What operators of two operands share: broadcasting, and the kernels' fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.fixed_point import quantize_multiplier
from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.kernels import Kernel
from micronet_mcu.graph.op import Operands
from micronet_mcu.graph.ops import convolution
from micronet_mcu.graph.program import Array, Call, Params, Ref, Step
from micronet_mcu.graph.structs import BINARY
from micronet_mcu.graph.value import Value
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class Binary(Node):
    """An operation on the elements of two tensors, either of which may be a constant.

    Attributes:
        clamp: least and greatest output.
    """

    clamp: tuple[int, int]

    def problems(self) -> Iterator[str]:
        a, b = self.inputs
        if np.broadcast_shapes(a.shape, b.shape) != self.output.shape:
            yield f"inputs of {a.shape} and {b.shape} for an output of {self.output.shape}"

    def operands(self) -> tuple[Value, Value]:
        """The inputs, each of them repeated as a whole.

        Raises:
            Unsupported: one is broadcast in another way.
        """
        y = self.output
        a, b = self.inputs
        for value in (a, b):
            tail = value.shape[next((i for i, n in enumerate(value.shape) if n != 1), 0) :]
            if value.size not in (1, y.size) and tail != y.shape[len(y.shape) - len(tail) :]:
                raise Unsupported("only trailing axes may be broadcast, as in [1, 1, 1, C]")
        return a, b

    def scaled(self, function: Kernel, reals: dict[str, float], macs: int = 0) -> Step:
        """By a kernel that takes micronet_binary_params; `reals` are its multipliers."""
        a, b = self.operands()
        y = self.output
        fields = {
            "count": y.size, "in1_count": a.size, "in2_count": b.size,
            "in1_zero_point": a.zero_point, "in2_zero_point": b.zero_point,
            "output_zero_point": y.zero_point, **convolution.bounds(self.clamp),
        }  # fmt: skip
        for name in ("in1", "in2", "out"):
            multiplier, shift = quantize_multiplier(reals.get(name, 0.0))
            fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
        call = Call(function, Params(BINARY, fields), (place(a), place(b), y))
        return self.made(call, in_place=True, macs=macs)


def place(value: Value) -> Ref:
    """Where a kernel finds an operand."""
    return value if value.data is None else Array("int8_t", value.data)


def check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    """Types, scales and broadcasting."""
    demands.quantized(*inputs, y)
    try:
        shape = np.broadcast_shapes(*(t.shape for t in inputs))
    except ValueError:
        raise demands.Misfit("has inputs that do not broadcast") from None
    demands.gives(y, shape)


def reader(node: type[Binary]) -> Callable[[Operands], Binary]:
    """Makes nodes of this class."""

    def read(operands: Operands) -> Binary:
        return node(**operands.node(2, constants=True), clamp=operands.clamp())

    return read
