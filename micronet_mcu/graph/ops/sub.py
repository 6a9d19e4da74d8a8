"""SUB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import add, binary
from micronet_mcu.graph.program import Step


@dataclass(frozen=True, eq=False)
class Sub(binary.Binary):
    """A difference: a sum whose second operand is scaled by a negative number."""

    kind: ClassVar[str] = "SUB"

    def step(self) -> Step:
        a, b = self.inputs
        if a.scale >= b.scale:
            return add.tabulated(self, a, b, -1)
        # The larger scale is halved, which is exact: rounding knows no sign.
        twice = 2 * b.scale
        out = twice / (2.0**20 * self.output.scale)
        reals = {"in1": a.scale / twice, "in2": -b.scale / twice, "out": out}
        return self.scaled(kernel("add_plain"), a, b, reals)


OP = Op(Sub.kind, "AddSub", binary.check, (2, 2), "SubOptions", binary.reader(Sub))
