"""CONV_2D."""

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
from micronet_mcu.graph.program import Array, Call, Params, Room, Step
from micronet_mcu.graph.requantize import Channels
from micronet_mcu.graph.structs import CONV2D_GROUPED_1X1
from micronet_mcu.graph.weights import Weights
from micronet_mcu.graph.window import Window, window_of
from micronet_mcu.tflite.model import Tensor

_MOST_COLUMN_ROWS = 8  # MICRONET_MOST_COLUMN_ROWS


@dataclass(frozen=True, eq=False)
class Conv2D(Node):
    """A convolution.

    Attributes:
        weights: [out, height, width, in / groups].
        window: where it looks.
        clamp: least and greatest output.
    """

    kind: ClassVar[str] = "CONV_2D"

    weights: Weights
    window: Window
    clamp: tuple[int, int]

    @property
    def groups(self) -> int:
        return self.inputs[0].channels // self.weights.values.shape[3]

    def problems(self) -> Iterator[str]:
        x, y = self.inputs[0], self.output
        yield from self.weights.problems(y.channels)
        yield from convolution.window_problems(x, y, self.window)
        if self.weights.values.shape[1:3] != self.window.kernel:
            yield f"weights of shape {self.weights.values.shape} for {self.window}"
        if x.channels % self.weights.values.shape[3] or y.channels % self.groups:
            yield f"{x.channels} -> {y.channels} channels in {self.groups} groups"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        channels = requantize.of_layer(self.weights, x, y, self.clamp)
        return self.made(self._call(channels), lag=self._lag(channels),
                         macs=y.size * self.weights.taps)  # fmt: skip

    def _call(self, channels: Channels) -> Call:
        x, y, window = self.inputs[0], self.output, self.window
        shape = convolution.geometry(x, y, window)
        pointwise = window.kernel == (1, 1) == window.stride
        prepared = channels.records is not None and window.dilation == (1, 1)
        if prepared and self.groups > 1 and pointwise:
            return self._grouped(channels)
        if not prepared or self.groups > 1:
            params = convolution.plain_params(
                shape, y, self.clamp, self.weights, channels, self.groups, window.dilation
            )
            return Call(kernel("conv2d_plain"), params, (x, y))
        params = convolution.conv_params(shape, self.clamp, channels)
        if self._is_column():
            return Call(kernel("conv2d_column_rgb"), params, (x, y))
        scratch = convolution.scratch_for_pixels("CONV2D", 5, self.weights.taps, x, y)
        return Call(kernel("conv2d"), params, (x, y, Room.PLACE, Room.BYTES), scratch)

    def _is_column(self) -> bool:
        """Whether micronet_conv2d_column_rgb takes it, records given."""
        window = self.window
        return (
            self.inputs[0].channels == 3
            and window.kernel[1] == 1
            and window.stride[1] == 1
            and window.pad[1] == 0
            and window.kernel[0] <= _MOST_COLUMN_ROWS
        )

    def _grouped(self, channels: Channels) -> Call:
        x, y = self.inputs[0], self.output
        depth = x.channels // self.groups
        doubled = np.zeros((y.channels, convolution.round_up_4(depth)), np.int16)
        doubled[:, :depth] = 2 * channels.weights.reshape(y.channels, depth).astype(np.int16)
        pixels = y.size // y.channels
        fields = {
            "pixels": pixels, "in_c": x.channels, "out_c": y.channels,
            "groups": self.groups, "input_zero_point": x.zero_point,
            **convolution.bounds(self.clamp),
            "doubled_weights": Array("int16_t", doubled.reshape(-1, 4)[:, [0, 2, 1, 3]]),
            "channels": channels.array(),
        }  # fmt: skip
        scratch = convolution.scratch_for_pixels("CONV2D_GROUPED_1X1", 12, depth, x, y)
        return Call(kernel("conv2d_grouped_1x1"), Params(CONV2D_GROUPED_1X1, fields),
                    (x, y, Room.PLACE, Room.BYTES), scratch)  # fmt: skip

    def _lag(self, channels: Channels) -> int | None:
        """See `Step.lag`: an output row must end before the first input row that is still read."""
        one_group = self.groups == 1 and self.window.dilation == (1, 1)
        if channels.records is None or not one_group or not self._is_column():
            return None
        _, in_h, in_w, in_c = self.inputs[0].shape
        _, out_h, out_w, out_c = self.output.shape
        row_in, row_out = in_w * in_c, out_w * out_c
        stride, pad = self.window.stride[0], self.window.pad[0]
        return max(
            (y + 1) * row_out - min(max(0, y * stride - pad), in_h) * row_in for y in range(out_h)
        )


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x, filter_, *rest = inputs
    demands.rank4(x, filter_, y)
    demands.quantized(x, y)
    cout, height, width, depth = filter_.shape
    demands.demand(x.shape[3] % depth == 0, f"has {x.shape[3]} channels for a filter of {depth}")
    demands.demand(cout % (x.shape[3] // depth) == 0, f"splits {cout} channels unevenly")
    demands.window(options, x, y, (height, width), cout)
    demands.weights(filter_, rest[0] if rest else None, x, cout, 0)


def _read(operands: Operands) -> Conv2D:
    weights = convolution.weights_of(operands, axis=0)
    ends = operands.images()
    sizes = ends["inputs"][0].shape[1:3]
    window = window_of(operands.options, sizes, weights.values.shape[1:3])
    return Conv2D(**ends, weights=weights, window=window, clamp=operands.clamp())


OP = Op(Conv2D.kind, "AddConv2D", _check, (2, 3), "Conv2DOptions", _read)
