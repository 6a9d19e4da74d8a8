"""DEPTHWISE_CONV_2D."""

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
from micronet_mcu.graph.requantize import Channels
from micronet_mcu.graph.structs import DEPTHWISE_WIDE
from micronet_mcu.graph.weights import Weights
from micronet_mcu.graph.window import Window, window_of
from micronet_mcu.tflite.model import Tensor

# Scratch memory that pays even where the arena grows by it.
_WORTH = 768


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D(Node):
    """A filter for each output channel, on one input channel.

    Attributes:
        weights: [1, height, width, out].
        window: where it looks.
        clamp: least and greatest output.
        source: [out], the input channel of each output channel.
    """

    kind: ClassVar[str] = "DEPTHWISE_CONV_2D"

    weights: Weights
    window: Window
    clamp: tuple[int, int]
    source: np.ndarray

    def problems(self) -> Iterator[str]:
        x, y = self.inputs[0], self.output
        yield from self.weights.problems(y.channels)
        yield from convolution.window_problems(x, y, self.window)
        if self.weights.values.shape[1:3] != self.window.kernel:
            yield f"weights of shape {self.weights.values.shape} for {self.window}"
        if self.source.shape != (y.channels,) or not 0 <= self.source.min() <= self.source.max() < (
            x.channels
        ):
            yield f"sources {self.source} of {x.channels} channels"

    def step(self) -> Step:
        x, y, window = self.inputs[0], self.output, self.window
        macs = y.size * self.weights.taps
        shape = convolution.geometry(x, y, window)
        channels = requantize.of_layer(self.weights, x, y, self.clamp, set_apart=True)
        if window.dilation != (1, 1):
            params = convolution.plain_params(
                shape, y, self.clamp, self.weights, channels, dilation=window.dilation
            )
            return self.made(Call(kernel("depthwise_plain"), params, (x, y)), macs=macs)
        source = None if self._is_natural() else self.source
        params = convolution.conv_params(shape, self.clamp, channels, source)
        chosen = kernel(
            "depthwise_1d" if _along_one_axis(x.shape, y.shape, window) else "depthwise"
        )
        scratch, room = self._scratch(), (Room.PLACE, Room.BYTES)
        args = (x, y)
        if not channels.wide:
            return self.made(Call(chosen, params, (*args, *room), scratch), macs=macs)
        some = (self._wide(channels), chosen, y.shape[1])
        return self.made(
            Call(kernel("depthwise_wide"), params, (*some, *args, *room), scratch), macs=macs
        )

    def _scratch(self) -> Scratch | None:
        """For as many rows of outputs of a 3x3 kernel as there is room for."""
        window, (_, rows, columns, _) = self.window, self.output.shape
        if window.kernel != (3, 3) or window.stride[1] > 2:
            return None
        stride = window.stride[0]
        line = 32 if columns * window.stride[1] <= 12 else 128
        least = min(rows, max(1, (_WORTH // line - 3) // stride + 1))
        return Scratch(
            line * ((least - 1) * stride + 3),
            f"MICRONET_DEPTHWISE_SCRATCH({least}, {stride}, {columns}, {window.stride[1]})",
            most=line * ((rows - 1) * stride + 3),
        )

    def _is_natural(self) -> bool:
        """Whether the sources are what the kernels take them for without a table."""
        inputs, outputs = self.inputs[0].channels, self.output.channels
        whole = outputs % inputs == 0
        return whole and np.array_equal(self.source, natural_sources(inputs, outputs))

    def _wide(self, channels: Channels) -> Params:
        """The channels whose scales do not fit into a record."""
        wide, weights = np.array(channels.wide), self.weights
        fields = {
            "count": len(wide), "output_zero_point": self.output.zero_point,
            "channel": Array("uint16_t", wide),
            "weights": Array("int8_t", np.moveaxis(weights.values, 3, 0)[wide]),
            "bias": Array("int32_t", weights.biases[wide]),
            "multiplier": Array("int32_t", channels.multiplier[wide]),
            "shift": Array("int8_t", channels.shift[wide]),
        }  # fmt: skip
        return Params(DEPTHWISE_WIDE, fields)


def natural_sources(inputs: int, outputs: int) -> np.ndarray:
    """The input channel of each output channel, as the flatbuffer has them."""
    return np.arange(outputs) // (outputs // inputs)


def _along_one_axis(x: tuple[int, ...], y: tuple[int, ...], window: Window) -> bool:
    """Whether micronet_depthwise_1d takes it: the same in less flash."""

    def fits(along: int, across: int) -> bool:
        taps, stride, pad = window.kernel[along], window.stride[along], window.pad[along]
        inside, outputs = x[along + 1], y[along + 1]
        last = (y[across + 1] - 1) * window.stride[across]
        return (
            window.kernel[across] == 1
            and window.pad[across] == 0
            and last < x[across + 1]
            and taps <= 5
            and stride <= 2
            and outputs * stride <= 250
            and pad < taps
            and (outputs - 1) * stride - pad < inside
        )

    return fits(0, 1) or fits(1, 0)


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x, filter_, *rest = inputs
    demands.rank4(x, filter_, y)
    demands.quantized(x, y)
    one, height, width, cout = filter_.shape
    multiplier = options["depth_multiplier"]
    demands.demand(one == 1, "needs a filter of shape 1, height, width, channels")
    demands.demand(
        multiplier > 0 and x.shape[3] * multiplier == cout,
        f"has {x.shape[3]} channels, multiplier {multiplier}, {cout} filters",
    )
    demands.window(options, x, y, (height, width), cout)
    demands.weights(filter_, rest[0] if rest else None, x, cout, 3)


def _read(operands: Operands) -> DepthwiseConv2D:
    weights = convolution.weights_of(operands, axis=3)
    ends = operands.images()
    x, y = ends["inputs"][0], ends["output"]
    window = window_of(operands.options, x.shape[1:3], weights.values.shape[1:3])
    source = natural_sources(x.channels, y.channels)
    return DepthwiseConv2D(
        **ends, weights=weights, window=window, clamp=operands.clamp(), source=source
    )


OP = Op(DepthwiseConv2D.kind, "AddDepthwiseConv2D", _check, (2, 3), "DepthwiseConv2DOptions", _read)
