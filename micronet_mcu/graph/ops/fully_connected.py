"""FULLY_CONNECTED."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from micronet_mcu.graph import demands, requantize
from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops import convolution
from micronet_mcu.graph.program import Array, Call, Params, Room, Scratch, Step
from micronet_mcu.graph.requantize import Channels, Record
from micronet_mcu.graph.structs import FULLY_CONNECTED
from micronet_mcu.graph.weights import Weights
from micronet_mcu.tflite.model import Tensor

# Scratch memory that pays even where the arena grows by it.
_WORTH = 2048


@dataclass(frozen=True, eq=False)
class FullyConnected(Node):
    """A dense layer on the last axis.

    Attributes:
        weights: [units, depth].
        clamp: least and greatest output.
    """

    kind: ClassVar[str] = "FULLY_CONNECTED"

    weights: Weights
    clamp: tuple[int, int]

    def problems(self) -> Iterator[str]:
        yield from self.weights.problems(self.output.channels)
        if self.inputs[0].size % self.weights.taps:
            yield f"{self.inputs[0].size} values for a depth of {self.weights.taps}"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        channels = requantize.of_layer(self.weights, x, y, self.clamp, dense=True)
        return self.made(self._call(channels), macs=y.size * self.weights.taps)

    def _call(self, channels: Channels) -> Call:
        x, y, depth = self.inputs[0], self.output, self.weights.taps
        if channels.records is not None and channels.uniform and x.size == depth:
            scratch = self._scratch()
            params = self._params(channels.records)
            return Call(kernel("fully_connected"), params, (x, y, Room.PLACE), scratch)
        # A dense layer with a scale per channel, or of several rows, is a 1x1 convolution.
        shape = convolution.rows_of_vectors(x, self.weights)
        if channels.records is None:
            params = convolution.plain_params(shape, y, self.clamp, self.weights, channels)
            return Call(kernel("conv2d_plain"), params, (x, y))
        params = convolution.conv_params(shape, self.clamp, channels)
        scratch = convolution.scratch_for_pixels("CONV2D", 5, depth, x, y)
        return Call(kernel("conv2d"), params, (x, y, Room.PLACE, Room.BYTES), scratch)

    def _scratch(self) -> Scratch:
        """For all inputs widened, or what is left over where those are many."""
        size = 2 * convolution.round_up_4(self.weights.taps)
        if size > _WORTH:
            return Scratch(0, "0", most=size)
        return Scratch(size, f"MICRONET_FULLY_CONNECTED_SCRATCH({self.weights.taps})")

    def _params(self, records: list[Record]) -> Params:
        units, depth = self.weights.values.shape
        _, multiplier, offset, shift = records[0]
        fields = {
            "in_c": depth, "out_c": units, "input_zero_point": self.inputs[0].zero_point,
            **convolution.bounds(self.clamp),
            "multiplier": multiplier, "offset": offset, "shift": shift,
            "weights": Array("int8_t", self.weights.values),
            "doubled_bias": Array("int32_t", np.array([r[0] for r in records])),
        }  # fmt: skip
        return Params(FULLY_CONNECTED, fields)


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x, filter_, *rest = inputs
    demands.quantized(x, y)
    demands.demand(len(filter_.shape) == 2, "needs a filter with two axes")
    demands.demand(options["weights_format"] == "DEFAULT", "has shuffled weights")
    units, depth = filter_.shape
    demands.demand(x.size % depth == 0, f"has {x.size} values for a filter of depth {depth}")
    demands.demand(len(x.shape) > 0 and len(y.shape) > 0, "needs tensors with axes")
    demands.demand(y.shape[-1] == units and y.size == x.size // depth * units,
                   f"should give {units} values")  # fmt: skip
    demands.weights(filter_, rest[0] if rest else None, x, units, 0)


def _read(operands: Operands) -> FullyConnected:
    weights = convolution.weights_of(operands, axis=0)
    return FullyConnected(**operands.node(), weights=weights, clamp=operands.clamp())


OP = Op(FullyConnected.kind, "AddFullyConnected", _check, (2, 3), "FullyConnectedOptions", _read)
