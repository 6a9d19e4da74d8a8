"""RELU6."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.errors import Doubt
from micronet_mcu.graph.fixed_point import activation_bounds
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import unary
from micronet_mcu.graph.program import Call, Step


@dataclass(frozen=True, eq=False)
class Relu6(unary.Unary):
    """Clipping to 0..6.

    TF Lite Micro clips in the input's scale and passes that on, also where the output's is another
    one, which TensorFlow Lite heeds.
    """

    kind: ClassVar[str] = "RELU6"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        if x.quantization != y.quantization:
            warnings.warn(
                f"{self}: a RELU6 of its own that changes the scale is compiled as TF Lite Micro "
                "computes it, which leaves the scale as it is; TensorFlow Lite does not. Convert "
                "the model with the activation fused",
                Doubt,
                stacklevel=2,
            )
        low, high = activation_bounds("RELU6", *x.quantization) or (-128, 127)
        return self.made(Call(kernel("clamp"), None, (x.size, low, high, x, y)), in_place=True)


OP = Op(Relu6.kind, "AddRelu6", unary.check, read=unary.reader(Relu6))
