"""ADD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph import requantize
from micronet_mcu.graph.fixed_point import quantize_multiplier
from micronet_mcu.graph.fixed_point import requantize as scaled
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import binary, convolution
from micronet_mcu.graph.program import Array, Call, Params, Step
from micronet_mcu.graph.structs import ADD
from micronet_mcu.graph.value import Value


@dataclass(frozen=True, eq=False)
class Add(binary.Binary):
    """A sum."""

    kind: ClassVar[str] = "ADD"

    def operands(self) -> tuple[Value, Value]:
        """The one of the larger scale comes first, as the kernel wants it."""
        a, b = super().operands()
        return (b, a) if a.scale < b.scale else (a, b)

    def step(self) -> Step:
        large, small = self.operands()
        y, twice = self.output, 2 * large.scale
        real = twice / (2.0**20 * y.scale)
        record = requantize.record_tail(real, y.zero_point)
        if record is None:
            reals = {"in1": large.scale / twice, "in2": small.scale / twice, "out": real}
            return self.scaled(kernel("add_plain"), reals)
        scale = quantize_multiplier(small.scale / twice)
        steps = [(q - small.zero_point) << 20 for q in range(-128, 128)]
        table = [2 * scaled(x, *scale) - (large.zero_point << 20) for x in steps]
        fields = {
            "count": y.size, "in1_count": large.size, "in2_count": small.size,
            **dict(zip(("multiplier", "offset", "shift"), record, strict=True)),
            **convolution.bounds(self.clamp),
            "table": Array("int32_t", np.array(table)),
        }  # fmt: skip
        args = (binary.place(large), binary.place(small), y)
        return self.made(Call(kernel("add"), Params(ADD, fields), args), in_place=True)


OP = Op(Add.kind, "AddAdd", binary.check, (2, 2), "AddOptions", binary.reader(Add))
