"""What CONV_2D and DEPTHWISE_CONV_2D share: geometry, and the plain kernels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from micronet_mcu.graph.graph import Unsupported
from micronet_mcu.graph.op import Operands
from micronet_mcu.graph.program import Array, Params, Scratch
from micronet_mcu.graph.requantize import Channels
from micronet_mcu.graph.structs import CONV, CONV_PLAIN
from micronet_mcu.graph.value import Value
from micronet_mcu.graph.weights import Weights
from micronet_mcu.graph.window import Pair, Window


def weights_of(operands: Operands, axis: int) -> Weights:
    """The operator's second and third input; `axis` is that of the output channels."""
    filter_, bias = operands.tensor(1), operands.optional(2)
    if filter_.data is None or (bias is not None and bias.data is None):
        raise Unsupported("its weights must be constants")
    if filter_.zero_point.any():
        raise Unsupported("its weights have a zero point, int8 weights must not")
    biases = None if bias is None or bias.data is None else bias.data.ravel()
    return Weights(filter_.data, filter_.scale.astype(np.float64), biases, axis)


def round_up_4(count: int) -> int:
    """MICRONET_ROUND_UP_4."""
    return -(-count // 4) * 4


def scratch(name: str, per_value: int, count: int) -> Scratch:
    """MICRONET_<name>_SCRATCH(count): so many bytes for each of `count` values, in fours."""
    return Scratch(per_value * round_up_4(count), f"MICRONET_{name}_SCRATCH({count})")


# Scratch memory that pays even where the arena grows by it: that of so many inputs' widened values,
# two outputs' weights and three times four pixels, within bounds; beyond the first upper one, an
# eighth of what the layer reads and writes.
_WORTH, _LEAST_WORTH, _MOST_WORTH, _MOST_WORTH_OF_LARGE = 28, 512, 2048, 4096


def scratch_for_pixels(name: str, per_input: int, inputs: int, x: Value, y: Value) -> Scratch:
    """Of a kernel that takes as many pixels at a time as there is room for: at least
    MICRONET_<name>_SCRATCH(inputs), at most MICRONET_CONV2D_MOST_SCRATCH(inputs, pixels)."""
    pixels = y.size // y.channels
    least = per_input * round_up_4(inputs)
    most = round_up_4(inputs) * (4 + 2 * round_up_4(pixels)) if pixels >= 4 else least
    macro = f"MICRONET_{name}_SCRATCH({inputs})"
    share = min(max((x.nbytes + y.nbytes) // 8, _MOST_WORTH), _MOST_WORTH_OF_LARGE)
    worth = min(max(_WORTH * round_up_4(inputs), _LEAST_WORTH), share // 8 * 8, most)
    return Scratch(max(least, worth), macro, most=most)


def bounds(clamp: Pair) -> dict[str, int]:
    """The kernels' fields for a fused activation."""
    return {"clamp_min": clamp[0], "clamp_max": clamp[1]}


def geometry(x: Value, y: Value, window: Window) -> dict[str, int]:
    """The kernels' fields for sizes, strides and padding."""
    _, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = y.shape
    return {
        "in_h": in_h, "in_w": in_w, "in_c": in_c,
        "out_h": out_h, "out_w": out_w, "out_c": out_c,
        "kernel_h": window.kernel[0], "kernel_w": window.kernel[1],
        "stride_h": window.stride[0], "stride_w": window.stride[1],
        "pad_top": window.pad[0], "pad_left": window.pad[1],
        "input_zero_point": x.zero_point,
    }  # fmt: skip


def rows_of_vectors(x: Value, weights: Weights) -> dict[str, int]:
    """The fields for a dense layer, which is a 1x1 convolution of a row of pixels."""
    units, depth = weights.values.shape
    rows = x.size // depth
    return {
        "in_h": 1, "in_w": rows, "in_c": depth, "out_h": 1, "out_w": rows, "out_c": units,
        "kernel_h": 1, "kernel_w": 1, "stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0,
        "input_zero_point": x.zero_point,
    }  # fmt: skip


def conv_params(
    shape: dict[str, int], clamp: Pair, channels: Channels, source: np.ndarray | None = None
) -> Params:
    """For kernels that take records."""
    pointers = {
        "weights": Array("int8_t", channels.weights),
        "channels": channels.array(),
        "source": None if source is None else Array("uint16_t", source),
    }
    return Params(CONV, {**shape, **bounds(clamp), **pointers})


def plain_params(
    shape: dict[str, int], y: Value, clamp: Pair, weights: Weights, channels: Channels,
    groups: int = 1, dilation: Pair = (1, 1),
) -> Params:  # fmt: skip
    """For kernels that take the flatbuffer's numbers."""
    more = {
        "dilation_h": dilation[0], "dilation_w": dilation[1], "groups": groups,
        "output_zero_point": y.zero_point,
        "weights": Array("int8_t", weights.values),
        "bias": None if weights.bias is None else Array("int32_t", weights.bias),
        "multiplier": Array("int32_t", channels.multiplier),
        "shift": Array("int8_t", channels.shift),
    }  # fmt: skip
    return Params(CONV_PLAIN, {**shape, **bounds(clamp), **more})


def window_problems(x: Value, y: Value, window: Window) -> Iterator[str]:
    """What contradicts itself; for `verify`."""
    for axis, name in ((0, "rows"), (1, "columns")):
        last = (y.shape[axis + 1] - 1) * window.stride[axis] - window.pad[axis]
        if window.pad[axis] < 0 or window.stride[axis] < 1 or window.kernel[axis] < 1:
            yield f"a window of {window}"
        elif last >= x.shape[axis + 1]:
            yield f"{name} of the output that no row or column of the input gives"
