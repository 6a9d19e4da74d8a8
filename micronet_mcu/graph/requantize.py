"""Prepares, per output channel, how a layer's accumulator becomes its int8 output.

The form of the records and why they give TensorFlow Lite's own number is written in
tflm/kernels/include/micronet_kernels.h, under REQUANTIZATION.
"""

from dataclasses import dataclass

import numpy as np

from micronet_mcu.graph.fixed_point import float32_product, quantize_multiplier, requantize
from micronet_mcu.graph.program import Array
from micronet_mcu.graph.value import Value
from micronet_mcu.graph.weights import Weights

Record = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Channels:
    """A layer's channels.

    Attributes:
        multiplier, shift: TensorFlow Lite's, one per channel.
        records: (doubled_bias, multiplier, offset, shift) per channel for the fast kernels, or None
            when a channel does not fit into a record.
        weights: the weights that belong to the records.
        uniform: all records share multiplier, offset and shift.
        wide: channels that do not fit into a record, where those may be set apart; their record and
            weights are dead.
    """

    multiplier: np.ndarray
    shift: np.ndarray
    records: list[Record] | None
    weights: np.ndarray
    uniform: bool
    wide: list[int]

    def array(self) -> Array:
        """The records, as the kernels take them."""
        return Array("micronet_channel", np.array(self.records, np.int64))


def of_layer(
    weights: Weights,
    x: Value,
    y: Value,
    clamp: tuple[int, int],
    *,
    dense: bool = False,
    set_apart: bool = False,
) -> Channels:
    """Args: the layer's weights, input, output and bounds of the output. `dense` layers multiply
    per-tensor scales in single precision, as TFLM does. With `set_apart` a channel that does not
    fit into a record does not spoil those of the others.
    """
    count, scales = weights.channels, weights.scales
    if dense and scales.size == 1:
        reals = [float32_product(x.scale, scales[0]) / y.scale] * count
    else:
        reals = [x.scale * float(s) / y.scale for s in np.broadcast_to(scales, count)]
    pairs = [quantize_multiplier(real) for real in reals]
    by_channel = np.moveaxis(weights.values, weights.axis, 0).reshape(count, -1).astype(np.int64)

    prepared = weights.values.copy()
    records: list[Record] = []
    wide: list[int] = []
    fit = True
    for channel, pair in enumerate(pairs):
        bias = int(weights.biases[channel])
        record = _record(bias, by_channel[channel], *pair, x.zero_point, y.zero_point, clamp)
        if record is None and not set_apart:
            fit = False
            break
        if record is None:
            wide.append(channel)
            record = 0, 0, 1, 1
        if record[1] == 0:  # a dead channel
            np.moveaxis(prepared, weights.axis, 0)[channel] = 0
        records.append(record)
    return Channels(
        np.array([m for m, _ in pairs]),
        np.array([s for _, s in pairs]),
        records if fit else None,
        prepared,
        fit and len({r[1:] for r in records}) == 1,
        wide,
    )


def record_tail(real: float, zero_point: int) -> tuple[int, int, int] | None:
    """A record's multiplier, offset and shift for a real multiplier; None if it does not fit."""
    multiplier, shift = quantize_multiplier(real)
    return _tail(multiplier, shift, zero_point)


def _tail(multiplier: int, shift: int, zero_point: int) -> tuple[int, int, int] | None:
    right = -shift
    if not 1 <= right <= 22:
        return None
    return multiplier, zero_point * (1 << right) + (1 << (right - 1)), right


def _record(
    bias: int,
    weights: np.ndarray,
    multiplier: int,
    shift: int,
    zero_in: int,
    zero_out: int,
    clamp: tuple[int, int],
) -> Record | None:
    tail = _tail(multiplier, shift, zero_out)
    if tail and 2 * (abs(bias) + 255 * int(np.abs(weights).sum())) < 2**31:
        return 2 * bias, *tail
    # Least and greatest accumulator: the output is monotone in it.
    low, high = -128 - zero_in, 127 - zero_in
    ends = [
        bias + int(np.where(weights > 0, weights * a, weights * b).sum())
        for a, b in ((low, high), (high, low))
    ]
    if any(abs(end) << max(shift, 0) >= 2**31 for end in ends):
        return None
    outputs = {
        min(max(requantize(end, multiplier, shift) + zero_out, clamp[0]), clamp[1]) for end in ends
    }
    return (0, 0, 2 * outputs.pop() + 1, 1) if len(outputs) == 1 else None
