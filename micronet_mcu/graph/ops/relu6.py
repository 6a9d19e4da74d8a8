"""RELU6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph.fixed_point import activation_bounds
from micronet_mcu.graph.graph import Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import unary
from micronet_mcu.graph.program import Call, Step


@dataclass(frozen=True, eq=False)
class Relu6(unary.Unary):
    """Clipping to 0..6, in one scale."""

    kind: ClassVar[str] = "RELU6"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        if x.quantization != y.quantization:
            raise Unsupported(
                "a RELU6 of its own that changes the scale, which TensorFlow Lite heeds and "
                "TF Lite Micro does not"
            )
        low, high = activation_bounds("RELU6", *y.quantization) or (-128, 127)
        return self.made(Call(kernel("clamp"), None, (x.size, low, high, x, y)), in_place=True)


OP = Op(Relu6.kind, "AddRelu6", unary.check, read=unary.reader(Relu6))
