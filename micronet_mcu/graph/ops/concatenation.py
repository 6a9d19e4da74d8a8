"""CONCATENATION: checked, and run by TFLM."""

from __future__ import annotations

from micronet_mcu.graph import demands
from micronet_mcu.graph.op import Op
from micronet_mcu.tflite.model import Tensor


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    demands.quantized(*inputs, y)
    rank = len(y.shape)
    axis = options["axis"] + (rank if options["axis"] < 0 else 0)
    demands.demand(0 <= axis < rank, f"has axis {options['axis']}")
    demands.demand(all(len(t.shape) == rank for t in inputs), "mixes ranks")
    shape = list(y.shape)
    shape[axis] = sum(t.shape[axis] for t in inputs)
    same = all(t.shape[:axis] + t.shape[axis + 1 :] == y.shape[:axis] + y.shape[axis + 1 :]
               for t in inputs)  # fmt: skip
    demands.demand(same and tuple(shape) == y.shape, "has inputs that do not fit together")


OP = Op("CONCATENATION", "AddConcatenation", _check, (1, 10), "ConcatenationOptions")
