"""MEAN."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from micronet_mcu.graph import demands
from micronet_mcu.graph.fixed_point import mean_multiplier
from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops import move
from micronet_mcu.graph.ops.reshape import Reshape
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import MEAN
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class Mean(Node):
    """The mean over the first axes, as many as make the output's size of the rest; with scales of
    its own."""

    kind: ClassVar[str] = "MEAN"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        pixels = x.size // y.size
        multiplier, shift = mean_multiplier(x.scale / y.scale, pixels)
        fields = {
            "pixels": pixels, "channels": y.size,
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


def _read(operands: Operands) -> tuple[Node, ...]:
    ends = operands.node()
    (x,) = ends["inputs"]
    rank = len(x.shape)
    gone = sorted({int(axis) % rank for axis in operands.constant(1).ravel()})
    order = [*gone, *(axis for axis in range(rank) if axis not in gone)]
    first = replace(x, name=f"{x.name} transposed", tensor=-1, data=None,
                    shape=tuple(x.shape[axis] for axis in order))  # fmt: skip
    turned = move.made(move.Transpose, operands.origin, x, first, lambda v: v.transpose(order))
    if isinstance(turned, Reshape):
        return (Mean(**ends),)
    return turned, Mean(**ends | {"inputs": (first,)})


OP = Op(Mean.kind, "AddMean", _check, (2, 2), "ReducerOptions", _read)
