"""MEAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph import demands
from micronet_mcu.graph.fixed_point import mean_multiplier
from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import MEAN
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class Mean(Node):
    """The mean over axes, with scales of its own.

    Attributes:
        axes: from 0, rising.
    """

    kind: ClassVar[str] = "MEAN"

    axes: tuple[int, ...]

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        if len(x.shape) != 4 or self.axes != (1, 2):
            raise Unsupported(f"axes {list(self.axes)}; only height and width, 1 and 2, are")
        pixels = x.size // x.channels
        multiplier, shift = mean_multiplier(x.scale / y.scale, pixels)
        fields = {
            "pixels": pixels, "channels": x.channels,
            "input_offset": pixels * x.zero_point, "multiplier": multiplier,
            "shift": shift, "output_zero_point": y.zero_point,
        }  # fmt: skip
        return self.made(Call(kernel("mean"), Params(MEAN, fields), (x, y)))


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x, axes = inputs
    rank = len(x.shape)
    demands.quantized(x, y)
    demands.constant_integers(axes, "axes")
    within = bool(((axes.data >= -rank) & (axes.data < rank)).all())
    demands.demand(within, "has an axis out of range")
    gone = {int(axis) % rank for axis in axes.data.ravel()}
    if options["keep_dims"]:
        demands.gives(y, [1 if i in gone else n for i, n in enumerate(x.shape)])
    else:
        demands.gives(y, [n for i, n in enumerate(x.shape) if i not in gone])


def _read(operands: Operands) -> Mean:
    ends = operands.node()
    rank = len(ends["inputs"][0].shape)
    axes = sorted(int(axis) % rank for axis in operands.constant(1).ravel())
    return Mean(**ends, axes=tuple(axes))


OP = Op(Mean.kind, "AddMean", _check, (2, 2), "ReducerOptions", _read)
