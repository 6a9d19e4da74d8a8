"""What the checks of several operators demand of their tensors.

An interpreter trusts the file in this: a filter that is smaller than the output's channels say, or
a gather index beyond the axis, makes it read outside its memory. `read_model` runs every operator's
check, so that later code may rely on shapes and types that fit.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from micronet_mcu.graph.window import output_size
from micronet_mcu.tflite.model import Tensor

Options = Mapping[str, Any]
# Tensors; None where an optional one is left out.
Inputs = Sequence[Any]


class Misfit(Exception):
    """An operator's tensors do not fit; the message says how."""


def demand(condition: bool, message: str) -> None:
    """Raises Misfit unless `condition`."""
    if not condition:
        raise Misfit(message)


def quantized(*tensors: Tensor) -> None:
    """All of one type; int8 and int16 ones with one positive scale."""
    demand(len({t.dtype for t in tensors}) == 1, "mixes types")
    for tensor in tensors:
        if tensor.dtype in (np.int8, np.int16):
            one_scale(tensor)


def one_scale(tensor: Tensor) -> None:
    """A scale of the whole tensor."""
    ready = tensor.scale.size == 1 and tensor.scale[0] > 0
    demand(bool(ready), f"needs one positive scale on tensor {tensor.index}")


def rank4(*tensors: Tensor) -> None:
    """Batch, height, width, channels."""
    demand(all(len(t.shape) == 4 for t in tensors), "needs tensors with four axes")


def weights(filter_: Tensor, bias: Tensor | None, x: Tensor, channels: int, axis: int) -> None:
    """Filter and bias of types, scales and sizes that go with the input and each other."""
    if x.dtype == np.int8:
        demand(filter_.dtype == np.int8, "needs an int8 filter")
        demand(filter_.scale.size in (1, channels), "needs scales on its filter")
        demand(
            filter_.scale.size == 1 or filter_.quantized_dimension == axis,
            f"has its filter quantized along axis {filter_.quantized_dimension}",
        )
    else:
        demand(x.dtype == np.float32 == filter_.dtype, "mixes types")
    if bias is not None:
        demand(bias.size == channels, f"has {bias.size} biases for {channels} channels")
        kind = np.int32 if x.dtype == np.int8 else np.float32
        demand(bias.dtype == kind, f"needs a bias of type {np.dtype(kind)}")


def window(options: Options, x: Tensor, y: Tensor, kernel: tuple[int, int], channels: int) -> None:
    """An output of the size that the window gives."""
    for axis, letter, size in ((1, "h", kernel[0]), (2, "w", kernel[1])):
        stride = options["stride_" + letter]
        dilation = options.get(f"dilation_{letter}_factor", 1)
        demand(0 < stride < 1 << 15 and 0 < dilation < 1 << 15 and size < 1 << 15,
               f"has stride {stride}, dilation {dilation}, kernel {size}")  # fmt: skip
        out = output_size(x.shape[axis], size, stride, dilation, options["padding"])
        demand(y.shape[axis] == out, f"should give size {out} on axis {axis}")
    demand(y.shape[0] == x.shape[0], "changes the batch size")
    demand(y.shape[3] == channels, f"should give {channels} channels")


def gives(y: Tensor, shape: Iterable[int]) -> None:
    """An output of this shape."""
    wanted = tuple(shape)
    demand(wanted == y.shape, f"should give shape {list(wanted)}")


def constant_integers(tensor: Tensor, what: str) -> None:
    """A constant of an integer type."""
    demand(tensor.data is not None and tensor.dtype.kind == "i", f"needs constant {what}")
