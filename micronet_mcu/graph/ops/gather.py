"""GATHER."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.program import Array, Call, Step
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class Gather(Node):
    """Entry i of an axis of the output is entry index[i] of the input.

    Attributes:
        index: which ones, integers from 0.
        axis: from 0.
    """

    kind: ClassVar[str] = "GATHER"

    index: np.ndarray
    axis: int

    @property
    def of_channels(self) -> bool:
        """Along the last axis by a vector, and nothing else."""
        x, y = self.inputs[0], self.output
        last = self.axis == len(x.shape) - 1 and self.index.ndim == 1
        return last and x.quantization == y.quantization

    @property
    def is_permutation(self) -> bool:
        """Whether every entry of the axis is there once."""
        entries = np.arange(self.inputs[0].shape[self.axis])
        return np.array_equal(np.sort(self.index.ravel()), entries)

    def problems(self) -> Iterator[str]:
        if not 0 <= self.index.min() <= self.index.max() < self.inputs[0].shape[self.axis]:
            yield f"indices {self.index} of {self.inputs[0].shape}"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        index = Array("uint16_t", self.index)
        outer, block = math.prod(x.shape[: self.axis]), math.prod(x.shape[self.axis + 1 :])
        if block == 1:
            args = (outer, x.shape[self.axis], self.index.size, index, x, y)
            return self.made(Call(kernel("gather_channels"), None, args))
        sizes = (outer, x.shape[self.axis], self.index.size, block)
        return self.made(Call(kernel("gather_blocks"), None, (*sizes, index, x, y)))


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x, indices = inputs
    demands.demand(x.dtype == y.dtype, "mixes types")
    demands.demand(len(x.shape) > 0, "needs an input with axes")
    axis = options["axis"] + (len(x.shape) if options["axis"] < 0 else 0)
    demands.demand(0 <= axis < len(x.shape) and options["batch_dims"] == 0,
                   f"has axis {options['axis']}, batch_dims {options['batch_dims']}")  # fmt: skip
    demands.constant_integers(indices, "indices")
    within = indices.data.min() >= 0 and indices.data.max() < x.shape[axis]
    demands.demand(bool(within), f"has an index outside 0..{x.shape[axis] - 1}")
    demands.gives(y, x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def _read(operands: Operands) -> Gather:
    ends = operands.node()
    axis = operands.options["axis"] % len(ends["inputs"][0].shape)
    return Gather(**ends, index=operands.constant(1), axis=axis)


OP = Op(Gather.kind, "AddGather", _check, (2, 2), "GatherOptions", _read)
