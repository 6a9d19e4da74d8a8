"""RESIZE_BILINEAR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import RESIZE_BILINEAR
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class ResizeBilinear(Node):
    """Another height and width, between four pixels each.

    Attributes:
        align_corners: the corner pixels of input and output lie on each other.
        half_pixel_centers: a pixel is where its centre is.
    """

    kind: ClassVar[str] = "RESIZE_BILINEAR"

    align_corners: bool
    half_pixel_centers: bool

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        if x.quantization != y.quantization:
            raise Unsupported("its tensors must share scale and zero point")
        fields = {"channels": x.channels}
        for letter, before, after in zip("hw", x.shape[1:3], y.shape[1:3], strict=True):
            aligned = self.align_corners and after > 1
            source, target = (before - 1, after - 1) if aligned else (before, after)
            step = (1024 * source + target // 2) // target
            fields |= {
                f"in_{letter}": before,
                f"out_{letter}": after,
                f"step_{letter}": step,
                f"start_{letter}": step // 2 - 512 if self.half_pixel_centers else 0,
            }
        params = Params(RESIZE_BILINEAR, fields)
        return self.made(Call(kernel("resize_bilinear"), params, (x, y)))


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x, size = inputs
    demands.rank4(x, y)
    demands.demand(x.dtype == y.dtype, "mixes types")
    demands.demand(size.data is not None and size.dtype == np.int32 and size.size == 2,
                   "needs a constant height and width")  # fmt: skip
    shape = (x.shape[0], *(int(n) for n in size.data.ravel()), x.shape[3])
    demands.demand(shape == y.shape and min(shape) > 0, f"should give shape {list(shape)}")
    demands.demand(not (options["align_corners"] and options["half_pixel_centers"]),
                   "aligns corners as well as the centres of pixels")  # fmt: skip


def _read(operands: Operands) -> ResizeBilinear:
    flags = {name: operands.options[name] for name in ("align_corners", "half_pixel_centers")}
    return ResizeBilinear(**operands.images(), **flags)


OP = Op(ResizeBilinear.kind, "AddResizeBilinear", _check, (2, 2), "ResizeBilinearOptions", _read)
