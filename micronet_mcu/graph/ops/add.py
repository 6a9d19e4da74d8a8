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

    def step(self) -> Step:
        a, b = self.inputs
        return tabulated(self, b, a, 1) if a.scale < b.scale else tabulated(self, a, b, 1)


def tabulated(node: binary.Binary, large: Value, small: Value, sign: int) -> Step:
    """large + sign * small, `large` of the larger scale, by a table of the second."""
    y, twice = node.output, 2 * large.scale
    real = twice / (2.0**20 * y.scale)
    record = requantize.record_tail(real, y.zero_point)
    if record is None:
        return plain(node, large, small, sign)
    scale = quantize_multiplier(small.scale / twice)
    steps = [(q - small.zero_point) << 20 for q in range(-128, 128)]
    table = [2 * sign * scaled(x, *scale) - (large.zero_point << 20) for x in steps]
    fields = {
        "count": y.size, "in1_count": large.size, "in2_count": small.size,
        **dict(zip(("multiplier", "offset", "shift"), record, strict=True)),
        **convolution.bounds(node.clamp),
        "table": Array("int32_t", np.array(table)),
    }  # fmt: skip
    call = Call(kernel("add"), Params(ADD, fields), (large, small, y))
    return node.made(call, in_place=True)


def plain(node: binary.Binary, a: Value, b: Value, sign: int) -> Step:
    """a + sign * b, whatever the scales."""
    twice = 2 * max(a.scale, b.scale)
    out = twice / (2.0**20 * node.output.scale)
    reals = {"in1": a.scale / twice, "in2": b.scale / twice, "out": out}
    return node.scaled(kernel("add_plain" if sign > 0 else "sub_plain"), a, b, reals)


OP = Op(Add.kind, "AddAdd", binary.check, (2, 2), "AddOptions", binary.reader(Add))
