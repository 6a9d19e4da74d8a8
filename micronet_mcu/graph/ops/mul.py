"""MUL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import binary
from micronet_mcu.graph.program import Step


@dataclass(frozen=True, eq=False)
class Mul(binary.Binary):
    """A product."""

    kind: ClassVar[str] = "MUL"

    def step(self) -> Step:
        a, b = self.inputs
        y = self.output
        return self.scaled(kernel("mul"), {"out": a.scale * b.scale / y.scale}, macs=y.size)


OP = Op(Mul.kind, "AddMul", binary.check, (2, 2), "MulOptions", binary.reader(Mul))
