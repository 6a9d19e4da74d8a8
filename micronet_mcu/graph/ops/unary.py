"""What operators on each element of one tensor share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Operands
from micronet_mcu.graph.program import Array, Call, Step
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class Unary(Node):
    """A function of each element."""

    def problems(self) -> Iterator[str]:
        if self.inputs[0].size != self.output.size:
            yield f"{self.inputs[0].size} values become {self.output.size}"

    def tabulated(self, table: np.ndarray) -> Step:
        """By a table of the outputs for `every` value of the input."""
        x, y = self.inputs[0], self.output
        entries = np.asarray(table).astype(y.dtype).view(np.int8)
        call = Call(kernel("lookup"), None, (Array("int8_t", entries), x.size, x, y))
        return self.made(call, in_place=True)


def every(dtype: np.dtype) -> np.ndarray:
    """What the bytes that read as -128 to 127 are in a type of one byte: the order of the kernel's
    table."""
    return np.arange(-128, 128, dtype=np.int8).view(dtype).astype(np.int64)


def check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    """Types, scales and shapes."""
    demands.quantized(inputs[0], y)
    demands.demand(inputs[0].shape == y.shape, "should keep the shape")


def reader(node: type[Unary]) -> Callable[[Operands], Unary]:
    """Makes nodes of this class."""

    def read(operands: Operands) -> Unary:
        return node(**operands.node())

    return read
