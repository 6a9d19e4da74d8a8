"""CONCATENATION, and PACK, which is one along a new axis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.program import Array, Call, Pointers, Step
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class Concatenation(Node):
    """A part of each input in turn, so many times.

    Attributes:
        rows: how many times.
    """

    kind: ClassVar[str] = "CONCATENATION"

    rows: int

    def problems(self) -> Iterator[str]:
        sizes = [value.size for value in self.inputs]
        if sum(sizes) != self.output.size or any(size % self.rows for size in sizes):
            yield f"inputs of {sizes} values for {self.rows} rows of {self.output.shape}"

    def step(self) -> Step:
        widths = np.array([value.size // self.rows for value in self.inputs])
        inputs = Pointers(self.inputs)
        args = (self.rows, len(self.inputs), Array("int32_t", widths), inputs, self.output)
        return self.made(Call(kernel("concatenate"), None, args))


@dataclass(frozen=True, eq=False)
class Pack(Concatenation):
    """Along a new axis."""

    kind: ClassVar[str] = "PACK"


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    demands.quantized(*inputs, y)
    rank = len(y.shape)
    axis = options["axis"] + (rank if options["axis"] < 0 else 0)
    demands.demand(0 <= axis < rank, f"has axis {options['axis']}")
    demands.demand(all(len(t.shape) == rank for t in inputs), "mixes ranks")
    shape = list(y.shape)
    shape[axis] = sum(t.shape[axis] for t in inputs)
    same = all(t.shape[:axis] + t.shape[axis + 1 :] == y.shape[:axis] + y.shape[axis + 1 :]
               for t in inputs)  # fmt: skip
    demands.demand(same and tuple(shape) == y.shape, "has inputs that do not fit together")


def _check_pack(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    demands.demand(len({t.dtype for t in (*inputs, y)}) == 1, "mixes types")
    rank = len(y.shape)
    demands.demand(-rank <= options["axis"] < rank, f"has axis {options['axis']}")
    shape = list(y.shape)
    count = shape.pop(options["axis"])
    same = all(t.shape == tuple(shape) for t in inputs)
    demands.demand(count == len(inputs) and same, "has inputs that do not fit together")


def _read(operands: Operands) -> Concatenation:
    return _joined(Concatenation, operands)


def _read_pack(operands: Operands) -> Concatenation:
    return _joined(Pack, operands)


def _joined(kind: type[Concatenation], operands: Operands) -> Concatenation:
    if operands.options.get("fused_activation_function", "NONE") != "NONE":
        raise Unsupported("a fused activation is not supported")
    ends = operands.node(operands.count)
    shape = ends["output"].shape
    return kind(**ends, rows=math.prod(shape[: operands.options["axis"] % len(shape)]))


OP = Op(Concatenation.kind, "AddConcatenation", _check, (1, 10), "ConcatenationOptions", _read)
PACK = Op(Pack.kind, "AddPack", _check_pack, (1, 1 << 10), "PackOptions", _read_pack)
