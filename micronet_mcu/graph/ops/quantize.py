"""QUANTIZE from int8 to int8, and RELU: a new scale for each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph.fixed_point import quantize_multiplier, requantize
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import unary
from micronet_mcu.graph.program import Step


@dataclass(frozen=True, eq=False)
class Quantize(unary.Unary):
    """The same real value in another scale."""

    kind: ClassVar[str] = "QUANTIZE"

    def step(self) -> Step:
        return self.tabulated(np.clip(self._rescaled(), -128, 127))

    def _rescaled(self) -> np.ndarray:
        x, y = self.inputs[0], self.output
        scale = quantize_multiplier(x.scale / y.scale)
        steps = [requantize(q - x.zero_point, *scale) for q in range(-128, 128)]
        return np.array(steps, np.int64) + y.zero_point


@dataclass(frozen=True, eq=False)
class Relu(Quantize):
    """max(x, 0)."""

    kind: ClassVar[str] = "RELU"

    def step(self) -> Step:
        zero = max(-128, self.output.zero_point)
        return self.tabulated(np.clip(self._rescaled(), zero, 127))


QUANTIZE = Op(Quantize.kind, "AddQuantize", read=unary.reader(Quantize))
RELU = Op(Relu.kind, "AddRelu", unary.check, read=unary.reader(Relu))
