"""DY-ShiftMax, which no flatbuffer has: a pass makes it of GATHERs, MULs, ADDs and a MAXIMUM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.program import Array, Call, Params, Pointers, Room, Scratch, Step
from micronet_mcu.graph.structs import DYSHIFTMAX
from micronet_mcu.graph.value import Value


@dataclass(frozen=True, eq=False)
class DYShiftMax(Node):
    """Branch k at channel c is a_k[c] * x[c] + b_k[c] * x[shift[c]]; output channel j is channel
    source[j] of the maximum over k. Inputs: x, a1, b1 (and a2, b2).

    Attributes:
        shift, source: channel indices, [channels] each.
    """

    kind: ClassVar[str] = "DY_SHIFT_MAX"

    shift: np.ndarray
    source: np.ndarray

    @property
    def permutes(self) -> bool:
        """Whether the output's channels are in another order."""
        return not np.array_equal(self.source, np.arange(len(self.source)))

    def problems(self) -> Iterator[str]:
        x, *coefficients = self.inputs
        if len(coefficients) not in (2, 4) or {v.size for v in coefficients} != {x.channels}:
            yield f"coefficients of {[v.size for v in coefficients]} for {x.channels} channels"
        if x.shape != self.output.shape:
            yield f"{x.shape} becomes {self.output.shape}"
        for index in (self.shift, self.source):
            inside = 0 <= index.min() <= index.max() < x.channels
            if index.shape != (x.channels,) or not inside:
                yield f"channel indices {index}"

    def numbers(self) -> dict[str, object]:
        """The kernel's fields, pointers left out."""
        x, *coefficients = self.inputs
        y = self.output
        pairs = [(coefficient_multiplier(c, x, y), c.zero_point) for c in coefficients]
        return {
            "pixels": x.size // x.channels, "channels": x.channels,
            "branches": len(coefficients) // 2,
            "input_zero_point": x.zero_point, "output_zero_point": y.zero_point,
            "coefficient": (*pairs, *[(0, 0)] * (4 - len(pairs))),
        }  # fmt: skip

    def step(self) -> Step:
        x, *coefficients = self.inputs
        tables = {
            "shift": Array("uint16_t", self.shift),
            "source": Array("uint16_t", self.source) if self.permutes else None,
        }
        missing = [None] * (4 - len(coefficients))
        pointers = Pointers((*coefficients, *missing))
        macro = f"MICRONET_DYSHIFTMAX_SCRATCH({x.channels})"
        call = Call(
            kernel("dyshiftmax"),
            Params(DYSHIFTMAX, self.numbers() | tables),
            (x, pointers, self.output, Room.PLACE, Room.BYTES),
            Scratch(x.channels, macro, unit=x.channels),
        )
        return self.made(call, in_place=True, macs=x.size * len(coefficients))


def kernel_takes(x: Value, coefficients: list[Value], output: Value) -> bool:
    """Whether the widened coefficients stay within the kernel's int16 (see micronet_kernels.h)."""
    widened = []
    for value in coefficients:
        multiplier = coefficient_multiplier(value, x, output)
        products = (np.arange(-128, 128) - value.zero_point) * multiplier
        if np.abs(products).max() >= 2**31 - 2**15:
            return False
        widened.append((products + 2**15) >> 16)
    if any(np.abs(w).max() > 32767 for w in widened):
        return False
    if len(widened) == 4:
        for first, second in ((widened[0], widened[2]), (widened[1], widened[3])):
            if max(first.max() - second.min(), second.max() - first.min()) > 32767:
                return False
    return True


def coefficient_multiplier(coefficient: Value, x: Value, output: Value) -> int:
    """Of a coefficient's step, in 2^-28 output steps per input step."""
    return round(coefficient.scale * x.scale / output.scale * 2**28)
