"""SUB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import add, binary
from micronet_mcu.graph.program import Step


@dataclass(frozen=True, eq=False)
class Sub(binary.Binary):
    """A difference: a sum whose second operand is subtracted once it is scaled."""

    kind: ClassVar[str] = "SUB"

    def step(self) -> Step:
        a, b = self.inputs
        make = add.tabulated if a.scale >= b.scale else add.plain
        return make(self, a, b, -1)


OP = Op(Sub.kind, "AddSub", binary.check, (2, 2), "SubOptions", binary.reader(Sub))
