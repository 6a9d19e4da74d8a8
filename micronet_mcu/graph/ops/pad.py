"""PAD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import PAD
from micronet_mcu.tflite.model import Tensor

_SIDES = ("top", "bottom", "left", "right", "front", "back")


@dataclass(frozen=True, eq=False)
class Pad(Node):
    """Zeros around a tensor.

    Attributes:
        amounts: [axes, 2], how many before and behind.
        value: stored there instead of zeros.
    """

    kind: ClassVar[str] = "PAD"

    amounts: np.ndarray
    value: int | None = None

    def problems(self) -> Iterator[str]:
        shape = tuple(self.inputs[0].shape + self.amounts.sum(axis=1))
        if shape != self.output.shape:
            yield f"amounts {self.amounts.tolist()} for {self.output.shape}"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        missing = max(4 - len(x.shape), 0)
        shape = (1,) * missing + x.shape
        amounts = np.pad(self.amounts, ((missing, 0), (0, 0)))
        if len(shape) != 4 or shape[0] != 1 or amounts[0].any():
            raise Unsupported("only height, width and channels of an image can be padded")
        fields = dict(zip(("in_h", "in_w", "in_c"), shape[1:], strict=True))
        fields |= dict(zip(_SIDES, (int(n) for n in amounts[1:].ravel()), strict=True))
        value = y.zero_point if self.value is None else self.value
        params = Params(PAD, fields | {"value": value})
        return self.made(Call(kernel("pad"), params, (x, y)))


@dataclass(frozen=True, eq=False)
class PadV2(Pad):
    """A number around a tensor."""

    kind: ClassVar[str] = "PADV2"


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x, amounts = inputs[:2]
    demands.constant_integers(amounts, "paddings")
    demands.demand(amounts.shape == (len(x.shape), 2), "needs two paddings an axis")
    within = bool((amounts.data >= 0).all() and (amounts.data < 1 << 20).all())
    demands.demand(within, "has bad paddings")
    shape = tuple(int(n + p.sum()) for n, p in zip(x.shape, amounts.data, strict=True))
    demands.demand(x.dtype == y.dtype and shape == y.shape, f"should give shape {list(shape)}")


def _read(operands: Operands) -> Pad:
    return Pad(**operands.node(), amounts=operands.constant(1))


def _read_v2(operands: Operands) -> PadV2:
    values = operands.value(operands.tensor(2))
    if values.data is None or values.size != 1:
        raise Unsupported("its value must be one constant")
    return PadV2(**operands.node(), amounts=operands.constant(1), value=int(values.data.ravel()[0]))


PADV2 = Op(PadV2.kind, "AddPadV2", _check, (3, 3), read=_read_v2)
OP = Op(Pad.kind, "AddPad", _check, (2, 2), read=_read)
