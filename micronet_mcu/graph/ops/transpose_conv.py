"""TRANSPOSE_CONV, as a convolution of its input with zeros between the pixels.

That gives TFLM's numbers, with the kernels that there are, at the stride's square times the
multiplications: for networks with one or two of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops.conv_2d import Conv2D
from micronet_mcu.graph.ops.pad import Pad
from micronet_mcu.graph.ops.reshape import Reshape
from micronet_mcu.graph.weights import Weights
from micronet_mcu.graph.window import Window, leading_padding, output_size
from micronet_mcu.tflite.model import Tensor


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    shape, filter_, x, *rest = inputs
    demands.rank4(x, filter_, y)
    demands.quantized(x, y)
    cout, *taps, depth = filter_.shape
    demands.demand(x.shape[3] == depth, f"has {x.shape[3]} channels for a filter of {depth}")
    demands.constant_integers(shape, "output's shape")
    demands.gives(y, (int(n) for n in shape.data.ravel()))
    for axis, letter, size in ((1, "h", taps[0]), (2, "w", taps[1])):
        stride = options["stride_" + letter]
        demands.demand(0 < stride < 1 << 15 and 0 < size < 1 << 15,
                       f"has stride {stride}, kernel {size}")  # fmt: skip
        found = output_size(y.shape[axis], size, stride, 1, options["padding"])
        demands.demand(x.shape[axis] == found, f"cannot give size {y.shape[axis]} on axis {axis}")
    demands.demand(y.shape[0] == x.shape[0], "changes the batch size")
    demands.demand(y.shape[3] == cout, f"should give {cout} channels")
    demands.weights(filter_, rest[0] if rest else None, x, cout, 0)


def _read(operands: Operands) -> tuple[Node, ...]:
    options, origin = operands.options, operands.origin
    filter_, bias = operands.tensor(1), operands.optional(3)
    x, y = operands.value(operands.tensor(2)), operands.value(operands.output(0))
    if filter_.data is None or (bias is not None and bias.data is None):
        raise Unsupported("its weights must be constants")
    if filter_.zero_point.any():
        raise Unsupported("its weights have a zero point, int8 weights must not")
    if x.shape[0] != 1:
        raise Unsupported(f"shape {list(x.shape)} has not batch 1")
    weights = Weights(
        np.ascontiguousarray(filter_.data[:, ::-1, ::-1]),
        filter_.scale.astype(np.float64),
        None if bias is None or bias.data is None else bias.data.ravel(),
        axis=0,
    )
    taps = filter_.data.shape[1:3]
    stride = options["stride_h"], options["stride_w"]
    nodes: list[Node] = []

    def put(kind: type[Reshape | Pad], shape: tuple[int, ...], **fields: Any) -> None:
        source = nodes[-1].output if nodes else x
        name = f"{y.name} padded {len(nodes)}"
        value = replace(source, name=name, tensor=-1, data=None, base=None, offset=0, shape=shape)
        nodes.append(kind((source,), value, **origin, **fields))

    def pad(amounts: np.ndarray) -> None:
        if amounts.any():
            shape = tuple(int(n) for n in nodes[-1].output.shape + amounts.sum(axis=1))
            put(Pad, shape, amounts=amounts)

    _, height, width, channels = x.shape
    # So many zeros behind every row, and then behind every pixel.
    put(Reshape, (1, height, 1, width * channels))
    pad(np.array([[0, 0], [0, 0], [0, stride[0] - 1], [0, 0]]))
    put(Reshape, (1, height * stride[0] * width, 1, channels))
    pad(np.array([[0, 0], [0, 0], [0, stride[1] - 1], [0, 0]]))
    put(Reshape, (1, height * stride[0], width * stride[1], channels))
    # And around all, so that the window begins and ends with the output.
    ends = np.zeros((4, 2), np.int64)
    for axis in (1, 2):
        size, reach, step = y.shape[axis], taps[axis - 1], stride[axis - 1]
        before = reach - 1 - leading_padding(size, reach, step, 1, options["padding"])
        ends[axis] = before, size + reach - 1 - before - x.shape[axis] * step
    if (ends < 0).any():
        raise Unsupported("its output ends before the last stride does")
    pad(ends)
    window = Window((int(taps[0]), int(taps[1])))
    conv = Conv2D(
        (nodes[-1].output,), y, **origin, weights=weights, window=window, clamp=operands.clamp()
    )
    return (*nodes, conv)


OP = Op("TRANSPOSE_CONV", "AddTransposeConv", _check, (3, 4), "TransposeConvOptions", _read)
