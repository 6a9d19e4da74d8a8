"""MAXIMUM and MINIMUM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph.graph import Unsupported
from micronet_mcu.graph.kernels import Kernel, kernel
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import binary
from micronet_mcu.graph.program import Call, Step


@dataclass(frozen=True, eq=False)
class _Extreme(binary.Binary):
    def _by(self, function: Kernel) -> Step:
        a, b = self.inputs
        y = self.output
        if not a.quantization == b.quantization == y.quantization:
            raise Unsupported("its tensors must share scale and zero point")
        args = (y.size, a.size, b.size, a, b, y)
        return self.made(Call(function, None, args), in_place=True)


@dataclass(frozen=True, eq=False)
class Maximum(_Extreme):
    """The larger of two."""

    kind: ClassVar[str] = "MAXIMUM"

    def step(self) -> Step:
        return self._by(kernel("maximum"))


@dataclass(frozen=True, eq=False)
class Minimum(_Extreme):
    """The smaller of two."""

    kind: ClassVar[str] = "MINIMUM"

    def step(self) -> Step:
        return self._by(kernel("minimum"))


MAXIMUM = Op(Maximum.kind, "AddMaximum", binary.check, (2, 2), read=binary.reader(Maximum))
MINIMUM = Op(Minimum.kind, "AddMinimum", binary.check, (2, 2), read=binary.reader(Minimum))
