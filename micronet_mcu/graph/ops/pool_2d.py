"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from micronet_mcu.graph import demands
from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.kernels import Kernel, kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops import convolution
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import POOL
from micronet_mcu.graph.window import Window, window_of
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class _Pool(Node):
    """A pool over windows.

    Attributes:
        window: where it looks.
        clamp: least and greatest output.
    """

    window: Window
    clamp: tuple[int, int]

    def problems(self) -> Iterator[str]:
        yield from convolution.window_problems(self.inputs[0], self.output, self.window)
        if self.inputs[0].channels != self.output.channels:
            yield f"{self.inputs[0].channels} -> {self.output.channels} channels"

    def _windowed(self, function: Kernel) -> Step:
        x, y = self.inputs[0], self.output
        shape = convolution.geometry(x, y, self.window)
        del shape["out_c"], shape["input_zero_point"]
        shape["channels"] = shape.pop("in_c")
        params = Params(POOL, shape | convolution.bounds(self.clamp))
        return self.made(Call(function, params, (x, y)))


@dataclass(frozen=True, eq=False)
class AveragePool2D(_Pool):
    """The mean of the taps inside of the image."""

    kind: ClassVar[str] = "AVERAGE_POOL_2D"

    def step(self) -> Step:
        x, y = self.inputs[0], self.output
        whole = y.shape[1:3] == (1, 1) and self.window.kernel == x.shape[1:3]
        if whole and self.clamp == (-128, 127) and self.window.pad == (0, 0):
            args = (x.size // x.channels, x.channels, x, y)
            return self.made(Call(kernel("global_average_pool"), None, args))
        return self._windowed(kernel("average_pool"))


@dataclass(frozen=True, eq=False)
class MaxPool2D(_Pool):
    """The largest of the taps inside of the image."""

    kind: ClassVar[str] = "MAX_POOL_2D"

    def step(self) -> Step:
        return self._windowed(kernel("max_pool"))


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    (x,) = inputs
    demands.rank4(x, y)
    demands.quantized(x, y)
    size = (options["filter_height"], options["filter_width"])
    demands.demand(min(size) > 0, f"has a window of {size}")
    demands.window(options, x, y, size, x.shape[3])


def _reader(node: type[_Pool]) -> Callable[[Operands], _Pool]:
    def read(operands: Operands) -> _Pool:
        options, ends = operands.options, operands.images()
        size = (options["filter_height"], options["filter_width"])
        window = window_of(options, ends["inputs"][0].shape[1:3], size)
        return node(**ends, window=window, clamp=operands.clamp())

    return read


AVERAGE = Op(AveragePool2D.kind, "AddAveragePool2D", _check, (1, 1), "Pool2DOptions",
             _reader(AveragePool2D))  # fmt: skip
MAX = Op(MaxPool2D.kind, "AddMaxPool2D", _check, (1, 1), "Pool2DOptions", _reader(MaxPool2D))
