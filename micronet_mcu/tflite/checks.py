"""What the builtin operators demand of their tensors.

An interpreter trusts the file in this: a filter that is smaller than the output's channels say, or
a gather index beyond the axis, makes it read outside its memory. `check_operator` is run on every
model that is read, so that later code may rely on shapes and types that fit.
"""

from collections.abc import Sequence

import numpy as np

from micronet_mcu.tflite.model import Operator, Tensor


class _Misfit(Exception):
    """An operator's tensors do not fit; the message says how."""


def check_operator(operator: Operator, tensors: Sequence[Tensor]) -> str | None:
    """Returns what is wrong with an operator, or None. Operators not known here pass."""
    known = _CHECKS.get(operator.name)
    if known is None:
        return None
    check, options, least, most = known
    try:
        _demand(least <= len(operator.inputs) <= most, f"takes {least} to {most} inputs")
        _demand(len(operator.outputs) == 1, "has one output")
        _demand(all(i >= 0 for i in operator.inputs[:least]), "lacks an input that it needs")
        if options:
            _demand(operator.options.get("type") == options, f"lacks its {options}")
        inputs = [tensors[i] if i >= 0 else None for i in operator.inputs]
        check(operator.options, inputs, tensors[operator.outputs[0]])
    except _Misfit as problem:
        return str(problem)
    return None


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Rows or columns of a window operator's output, as TensorFlow defines them."""
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else (size - reach + stride) // stride


def leading_padding(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Rows or columns of zeros before the input, as TensorFlow defines them."""
    if padding != "SAME":
        return 0
    out = output_size(size, kernel, stride, dilation, padding)
    return max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2


def _demand(condition: bool, message: str) -> None:
    if not condition:
        raise _Misfit(message)


def _quantized(*tensors: Tensor) -> None:
    """All of one type; int8 and int16 ones with one positive scale."""
    _demand(len({t.dtype for t in tensors}) == 1, "mixes types")
    for tensor in tensors:
        if tensor.dtype in (np.int8, np.int16):
            ready = tensor.scale.size == 1 and tensor.scale[0] > 0
            _demand(bool(ready), f"needs one positive scale on tensor {tensor.index}")


def _weights(filter_: Tensor, bias: Tensor | None, x: Tensor, channels: int, axis: int) -> None:
    if x.dtype == np.int8:
        _demand(filter_.dtype == np.int8, "needs an int8 filter")
        _demand(filter_.scale.size in (1, channels), "needs scales on its filter")
        _demand(
            filter_.scale.size == 1 or filter_.quantized_dimension == axis,
            f"has its filter quantized along axis {filter_.quantized_dimension}",
        )
    else:
        _demand(x.dtype == np.float32 == filter_.dtype, "mixes types")
    if bias is not None:
        _demand(bias.size == channels, f"has {bias.size} biases for {channels} channels")
        kind = np.int32 if x.dtype == np.int8 else np.float32
        _demand(bias.dtype == kind, f"needs a bias of type {np.dtype(kind)}")


def _window(options, x: Tensor, y: Tensor, kernel: tuple[int, int], channels: int) -> None:
    for axis, letter, size in ((1, "h", kernel[0]), (2, "w", kernel[1])):
        stride = options["stride_" + letter]
        dilation = options.get(f"dilation_{letter}_factor", 1)
        _demand(0 < stride < 1 << 15 and 0 < dilation < 1 << 15 and size < 1 << 15,
                f"has stride {stride}, dilation {dilation}, kernel {size}")  # fmt: skip
        out = output_size(x.shape[axis], size, stride, dilation, options["padding"])
        _demand(y.shape[axis] == out, f"should give size {out} on axis {axis}")
    _demand(y.shape[0] == x.shape[0], "changes the batch size")
    _demand(y.shape[3] == channels, f"should give {channels} channels")


def _rank4(*tensors: Tensor) -> None:
    _demand(all(len(t.shape) == 4 for t in tensors), "needs tensors with four axes")


def _conv(options, inputs, y) -> None:
    x, filter_, *rest = inputs
    _rank4(x, filter_, y)
    _quantized(x, y)
    cout, height, width, depth = filter_.shape
    _demand(x.shape[3] % depth == 0, f"has {x.shape[3]} channels for a filter of {depth}")
    _demand(cout % (x.shape[3] // depth) == 0, f"splits {cout} channels unevenly")
    _window(options, x, y, (height, width), cout)
    _weights(filter_, rest[0] if rest else None, x, cout, 0)


def _depthwise(options, inputs, y) -> None:
    x, filter_, *rest = inputs
    _rank4(x, filter_, y)
    _quantized(x, y)
    one, height, width, cout = filter_.shape
    multiplier = options["depth_multiplier"]
    _demand(one == 1, "needs a filter of shape 1, height, width, channels")
    _demand(multiplier > 0 and x.shape[3] * multiplier == cout,
            f"has {x.shape[3]} channels, multiplier {multiplier}, {cout} filters")  # fmt: skip
    _window(options, x, y, (height, width), cout)
    _weights(filter_, rest[0] if rest else None, x, cout, 3)


def _fully_connected(options, inputs, y) -> None:
    x, filter_, *rest = inputs
    _quantized(x, y)
    _demand(len(filter_.shape) == 2, "needs a filter with two axes")
    _demand(options["weights_format"] == "DEFAULT", "has shuffled weights")
    units, depth = filter_.shape
    _demand(x.size % depth == 0, f"has {x.size} values for a filter of depth {depth}")
    _demand(len(x.shape) > 0 and len(y.shape) > 0, "needs tensors with axes")
    _demand(y.shape[-1] == units and y.size == x.size // depth * units,
            f"should give {units} values")  # fmt: skip
    _weights(filter_, rest[0] if rest else None, x, units, 0)


def _pool(options, inputs, y) -> None:
    (x,) = inputs
    _rank4(x, y)
    _quantized(x, y)
    kernel = (options["filter_height"], options["filter_width"])
    _demand(min(kernel) > 0, f"has a window of {kernel}")
    _window(options, x, y, kernel, x.shape[3])


def _binary(options, inputs, y) -> None:
    _quantized(*inputs, y)
    try:
        shape = np.broadcast_shapes(*(t.shape for t in inputs))
    except ValueError:
        raise _Misfit("has inputs that do not broadcast") from None
    _demand(shape == y.shape, f"should give shape {list(shape)}")


def _unary(options, inputs, y) -> None:
    _quantized(inputs[0], y)
    _demand(inputs[0].shape == y.shape, "should keep the shape")


def _reshape(options, inputs, y) -> None:
    x = inputs[0]
    _demand(x.dtype == y.dtype and x.size == y.size, f"makes {y.size} values of {x.size}")


def _gather(options, inputs, y) -> None:
    x, indices = inputs
    _demand(x.dtype == y.dtype, "mixes types")
    _demand(len(x.shape) > 0, "needs an input with axes")
    axis = options["axis"] + (len(x.shape) if options["axis"] < 0 else 0)
    _demand(0 <= axis < len(x.shape) and options["batch_dims"] == 0,
            f"has axis {options['axis']}, batch_dims {options['batch_dims']}")  # fmt: skip
    _demand(indices.data is not None and indices.dtype.kind == "i", "needs constant indices")
    within = indices.data.min() >= 0 and indices.data.max() < x.shape[axis]
    _demand(bool(within), f"has an index outside 0..{x.shape[axis] - 1}")
    shape = x.shape[:axis] + indices.shape + x.shape[axis + 1 :]
    _demand(shape == y.shape, f"should give shape {list(shape)}")


def _pad(options, inputs, y) -> None:
    x, amounts = inputs[:2]
    _demand(amounts.data is not None and amounts.dtype.kind == "i", "needs constant paddings")
    _demand(amounts.shape == (len(x.shape), 2), "needs two paddings an axis")
    _demand(bool((amounts.data >= 0).all() and (amounts.data < 1 << 20).all()), "has bad paddings")
    shape = tuple(int(n + p.sum()) for n, p in zip(x.shape, amounts.data, strict=True))
    _demand(x.dtype == y.dtype and shape == y.shape, f"should give shape {list(shape)}")


def _mean(options, inputs, y) -> None:
    x, axes = inputs
    rank = len(x.shape)
    _quantized(x, y)
    _demand(axes.data is not None and axes.dtype.kind == "i", "needs constant axes")
    _demand(bool(((axes.data >= -rank) & (axes.data < rank)).all()), "has an axis out of range")
    gone = {int(axis) % rank for axis in axes.data.ravel()}
    if options["keep_dims"]:
        shape = tuple(1 if i in gone else n for i, n in enumerate(x.shape))
    else:
        shape = tuple(n for i, n in enumerate(x.shape) if i not in gone)
    _demand(shape == y.shape, f"should give shape {list(shape)}")


def _resize_bilinear(options, inputs, y) -> None:
    x, size = inputs
    _rank4(x, y)
    _demand(x.dtype == y.dtype, "mixes types")
    _demand(size.data is not None and size.dtype == np.int32 and size.size == 2,
            "needs a constant height and width")  # fmt: skip
    shape = (x.shape[0], *(int(n) for n in size.data.ravel()), x.shape[3])
    _demand(shape == y.shape and min(shape) > 0, f"should give shape {list(shape)}")
    _demand(not (options["align_corners"] and options["half_pixel_centers"]),
            "aligns corners as well as the centres of pixels")  # fmt: skip


def _concatenation(options, inputs, y) -> None:
    _quantized(*inputs, y)
    rank = len(y.shape)
    axis = options["axis"] + (rank if options["axis"] < 0 else 0)
    _demand(0 <= axis < rank, f"has axis {options['axis']}")
    _demand(all(len(t.shape) == rank for t in inputs), "mixes ranks")
    shape = list(y.shape)
    shape[axis] = sum(t.shape[axis] for t in inputs)
    same = all(t.shape[:axis] + t.shape[axis + 1 :] == y.shape[:axis] + y.shape[axis + 1 :]
               for t in inputs)  # fmt: skip
    _demand(same and tuple(shape) == y.shape, "has inputs that do not fit together")


# Name: check, the options that it cannot do without, fewest and most inputs.
_CHECKS = {
    "CONV_2D": (_conv, "Conv2DOptions", 2, 3),
    "DEPTHWISE_CONV_2D": (_depthwise, "DepthwiseConv2DOptions", 2, 3),
    "FULLY_CONNECTED": (_fully_connected, "FullyConnectedOptions", 2, 3),
    "AVERAGE_POOL_2D": (_pool, "Pool2DOptions", 1, 1),
    "MAX_POOL_2D": (_pool, "Pool2DOptions", 1, 1),
    "ADD": (_binary, "AddOptions", 2, 2),
    "MUL": (_binary, "MulOptions", 2, 2),
    "SUB": (_binary, "SubOptions", 2, 2),
    "MAXIMUM": (_binary, None, 2, 2),
    "MINIMUM": (_binary, None, 2, 2),
    "HARD_SWISH": (_unary, None, 1, 1),
    "LOGISTIC": (_unary, None, 1, 1),
    "RELU": (_unary, None, 1, 1),
    "RELU6": (_unary, None, 1, 1),
    "SOFTMAX": (_unary, "SoftmaxOptions", 1, 1),
    "RESHAPE": (_reshape, None, 1, 2),
    "GATHER": (_gather, "GatherOptions", 2, 2),
    "PAD": (_pad, None, 2, 2),
    "MEAN": (_mean, "ReducerOptions", 2, 2),
    "RESIZE_BILINEAR": (_resize_bilinear, "ResizeBilinearOptions", 2, 2),
    "CONCATENATION": (_concatenation, "ConcatenationOptions", 1, 10),
}
