"""QUANTIZE, DEQUANTIZE and RELU: the same real values, stored in another way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.fixed_point import quantize_multiplier, requantize
from micronet_mcu.graph.graph import Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops import unary
from micronet_mcu.graph.program import Call, Step
from micronet_mcu.graph.value import INT8
from micronet_mcu.tflite.model import Tensor

_BYTES = ("int8", "uint8")


@dataclass(frozen=True, eq=False)
class Quantize(unary.Unary):
    """The same real value in another scale, from int8, uint8 or float32 to int8 or uint8."""

    kind: ClassVar[str] = "QUANTIZE"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        if x.dtype.kind == "f":
            if y.dtype != INT8:
                raise Unsupported(f"from float32 to {y.dtype.name}; only to int8")
            args = (x.size, y.scale, y.zero_point, x, y)
            return self.made(Call(kernel("quantize"), None, args), lag=0)
        limits = np.iinfo(y.dtype)
        return self.tabulated(np.clip(self._rescaled(), limits.min, limits.max))

    def _rescaled(self) -> np.ndarray:
        x, y = self.inputs[0], self.output
        scale = quantize_multiplier(x.scale / y.scale)
        steps = [requantize(int(q) - x.zero_point, *scale) for q in unary.every(x.dtype)]
        return np.array(steps, np.int64) + y.zero_point


@dataclass(frozen=True, eq=False)
class Dequantize(unary.Unary):
    """The real value of int8, as float32."""

    kind: ClassVar[str] = "DEQUANTIZE"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        args = (x.size, x.scale, x.zero_point, x, y)
        # Output i ends behind the inputs up to i, or it would be written over what is not read yet.
        return self.made(Call(kernel("dequantize"), None, args), lag=3 * x.size)


@dataclass(frozen=True, eq=False)
class Relu(Quantize):
    """max(x, 0)."""

    kind: ClassVar[str] = "RELU"

    def step(self) -> Step:
        zero = max(-128, self.output.zero_point)
        return self.tabulated(np.clip(self._rescaled(), zero, 127))


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    (x,) = inputs
    demands.demand(x.shape == y.shape, "should keep the shape")
    for tensor in (x, y):
        if tensor.dtype.itemsize == 1:
            demands.one_scale(tensor)


def _read_quantize(operands: Operands) -> Quantize:
    return Quantize(**operands.node(takes=(*_BYTES, "float32"), gives=_BYTES))


def _read_dequantize(operands: Operands) -> Dequantize:
    return Dequantize(**operands.node(takes=(INT8.name,), gives=("float32",)))


QUANTIZE = Op(Quantize.kind, "AddQuantize", _check, read=_read_quantize)
DEQUANTIZE = Op(Dequantize.kind, "AddDequantize", _check, read=_read_dequantize)
RELU = Op(Relu.kind, "AddRelu", unary.check, read=unary.reader(Relu))
