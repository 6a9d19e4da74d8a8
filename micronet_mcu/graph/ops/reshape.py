"""RESHAPE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph import demands
from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import unary
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class Reshape(unary.Unary):
    """The same bytes under another shape; a pass takes it out, so there is no kernel."""

    kind: ClassVar[str] = "RESHAPE"


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x = inputs[0]
    demands.demand(x.dtype == y.dtype and x.size == y.size, f"makes {y.size} values of {x.size}")


OP = Op(Reshape.kind, "AddReshape", _check, (1, 2), None, unary.reader(Reshape), uses=(0,))
