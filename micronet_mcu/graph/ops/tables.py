"""LOGISTIC, TANH and LEAKY_RELU, by tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph.fixed_point import (
    leaky_relu_table,
    logistic_table,
    tanh_table,
)
from micronet_mcu.graph.graph import Unsupported
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops import unary
from micronet_mcu.graph.program import Step
from micronet_mcu.graph.value import Value


def _table(make: Callable[[float, int], np.ndarray], x: Value) -> np.ndarray:
    try:
        return make(*x.quantization)
    except ValueError:
        raise Unsupported(f"its input scale {x.scale:g} is beyond all use") from None


@dataclass(frozen=True, eq=False)
class Logistic(unary.Unary):
    """1 / (1 + exp(-x))."""

    kind: ClassVar[str] = "LOGISTIC"

    def step(self) -> Step:
        if self.output.quantization != (1 / 256, -128):
            raise Unsupported("its output must have scale 1/256 and zero point -128")
        return self.tabulated(_table(logistic_table, self.inputs[0]))


@dataclass(frozen=True, eq=False)
class Tanh(unary.Unary):
    """The hyperbolic tangent."""

    kind: ClassVar[str] = "TANH"

    def step(self) -> Step:
        if self.output.quantization != (1 / 128, 0):
            raise Unsupported("its output must have scale 1/128 and zero point 0")
        return self.tabulated(_table(tanh_table, self.inputs[0]))


@dataclass(frozen=True, eq=False)
class LeakyRelu(unary.Unary):
    """x, or alpha * x where that is below 0.

    Attributes:
        alpha: the slope.
    """

    kind: ClassVar[str] = "LEAKY_RELU"

    alpha: float

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        return self.tabulated(leaky_relu_table(*x.quantization, *y.quantization, self.alpha))


def _read_leaky(operands: Operands) -> LeakyRelu:
    alpha = operands.options["alpha"]
    if not np.isfinite(alpha):
        raise Unsupported(f"alpha {alpha}")
    return LeakyRelu(**operands.node(), alpha=alpha)


OPERATORS = (
    Op(LeakyRelu.kind, "AddLeakyRelu", unary.check, (1, 1), "LeakyReluOptions", _read_leaky),
    Op(Logistic.kind, "AddLogistic", unary.check, read=unary.reader(Logistic)),
    Op(Tanh.kind, "AddTanh", unary.check, read=unary.reader(Tanh)),
)
