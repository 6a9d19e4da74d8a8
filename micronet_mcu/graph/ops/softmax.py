"""SOFTMAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph.fixed_point import softmax_parameters
from micronet_mcu.graph.graph import Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops import unary
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import SOFTMAX


@dataclass(frozen=True, eq=False)
class Softmax(unary.Unary):
    """exp(beta * x) / sum of it, over the last axis.

    Attributes:
        beta: of the exponent.
    """

    kind: ClassVar[str] = "SOFTMAX"

    beta: float

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        if y.quantization != (1 / 256, -128):
            raise Unsupported("its output must have scale 1/256 and zero point -128")
        if not 0 < self.beta * x.scale < 1e6:
            raise Unsupported(f"beta {self.beta:g} is not usable")
        multiplier, shift, least = softmax_parameters(self.beta, x.scale)
        if shift < 0:
            raise Unsupported(f"its input scale {x.scale:g} is too small")
        fields = {
            "rows": x.size // x.channels, "depth": x.channels,
            "input_multiplier": multiplier, "input_left_shift": shift, "diff_min": least,
        }  # fmt: skip
        return self.made(Call(kernel("softmax"), Params(SOFTMAX, fields), (x, y)))


def _read(operands: Operands) -> Softmax:
    return Softmax(**operands.node(), beta=operands.options["beta"])


OP = Op(Softmax.kind, "AddSoftmax", unary.check, (1, 1), "SoftmaxOptions", _read)
