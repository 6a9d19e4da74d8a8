"""PRELU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph.graph import Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import binary
from micronet_mcu.graph.program import Step


@dataclass(frozen=True, eq=False)
class Prelu(binary.Binary):
    """x, or alpha * x where that is below 0; alpha is the second input."""

    kind: ClassVar[str] = "PRELU"

    def step(self) -> Step:
        (x, alpha), y = self.inputs, self.output
        if x.size != y.size:
            raise Unsupported("its first input must have the output's shape")
        reals = {"in1": x.scale / y.scale, "out": x.scale * alpha.scale / y.scale}
        return self.scaled(kernel("prelu"), x, alpha, reals, macs=y.size)


OP = Op(Prelu.kind, "AddPrelu", binary.check, (2, 2), read=binary.reader(Prelu))
