"""MUL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph import requantize
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import binary, convolution
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import MUL


@dataclass(frozen=True, eq=False)
class Mul(binary.Binary):
    """A product."""

    kind: ClassVar[str] = "MUL"

    def step(self) -> Step:
        a, b = self.inputs
        y = self.output
        real = a.scale * b.scale / y.scale
        record = requantize.record_tail(real, y.zero_point)
        if record is None:
            return self.scaled(kernel("mul_plain"), a, b, {"out": real}, macs=y.size)
        fields = {
            "count": y.size, "in1_count": a.size, "in2_count": b.size,
            "in1_zero_point": a.zero_point, "in2_zero_point": b.zero_point,
            **dict(zip(("multiplier", "offset", "shift"), record, strict=True)),
            **convolution.bounds(self.clamp),
        }  # fmt: skip
        call = Call(kernel("mul"), Params(MUL, fields), (a, b, y))
        return self.made(call, in_place=True, macs=y.size)


OP = Op(Mul.kind, "AddMul", binary.check, (2, 2), "MulOptions", binary.reader(Mul))
