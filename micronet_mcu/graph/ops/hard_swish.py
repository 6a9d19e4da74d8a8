"""HARD_SWISH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph.fixed_point import hard_swish_table
from micronet_mcu.graph.graph import Unsupported
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import unary
from micronet_mcu.graph.program import Step


@dataclass(frozen=True, eq=False)
class HardSwish(unary.Unary):
    """x * relu6(x + 3) / 6."""

    kind: ClassVar[str] = "HARD_SWISH"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        try:
            table = hard_swish_table(*x.quantization, *y.quantization)
        except ValueError:
            raise Unsupported(
                f"its scales, {x.scale:g} in and {y.scale:g} out, are too far apart"
            ) from None
        return self.tabulated(table)


OP = Op(HardSwish.kind, "AddHardSwish", unary.check, read=unary.reader(HardSwish))
