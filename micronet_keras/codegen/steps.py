"""Chooses the kernel of every node and prepares its parameters: the steps that C will run."""

from collections.abc import Callable

import numpy as np

from micronet_keras.codegen import fixed_point, requantize
from micronet_keras.codegen.fuse import coefficient_multiplier, is_channel_gather
from micronet_keras.codegen.graph import Graph, Node
from micronet_keras.codegen.program import Array, Step, Struct
from micronet_keras.errors import UserError


def steps_of(graph: Graph) -> list[Step]:
    """Raises UserError, with the operator's name, index and shapes, where no kernel can do it."""
    return [_step(node) for node in graph.nodes]


def _step(node: Node) -> Step:
    largest = max(n for v in (*node.inputs, node.output) for n in v.shape)
    if largest > 32767:
        raise _refusal(node, f"its size {largest} is beyond the kernels' 32767")
    return _BUILDERS[node.kind](node)


def _refusal(node: Node, reason: str) -> UserError:
    return UserError(f"cannot compile {node.label}: {reason}")


def _bounds(node: Node) -> tuple[int, int]:
    activation = node.attributes.get("fused_activation_function", "NONE")
    bounds = fixed_point.activation_bounds(activation, *node.output.quantization)
    if bounds is None:
        raise _refusal(node, f"fused activation {activation} is not supported")
    return bounds


def _round_up(count: int, to: int = 4) -> int:
    return -(-count // to) * to


# --- layers with weights -----------------------------------------------------------------------


def _geometry(node: Node) -> dict:
    _, in_h, in_w, in_c = node.inputs[0].shape
    _, out_h, out_w, out_c = node.output.shape
    options = node.attributes
    return {
        "in_h": in_h, "in_w": in_w, "in_c": in_c,
        "out_h": out_h, "out_w": out_w, "out_c": out_c,
        "kernel_h": options["kernel"][0], "kernel_w": options["kernel"][1],
        "stride_h": options["stride"][0], "stride_w": options["stride"][1],
        "pad_top": options["pad"][0], "pad_left": options["pad"][1],
        "input_zero_point": node.inputs[0].zero_point,
    }  # fmt: skip


def _row_lag(node: Node) -> int:
    """See `Step.lag`: an output row must end before the first input row that is still read."""
    _, in_h, in_w, in_c = node.inputs[0].shape
    _, out_h, out_w, out_c = node.output.shape
    row_in, row_out = in_w * in_c, out_w * out_c
    stride, pad = node.attributes["stride"][0], node.attributes["pad"][0]
    return max(
        (y + 1) * row_out - min(max(0, y * stride - pad), in_h) * row_in for y in range(out_h)
    )


def _pixel_lag(in_c: int, out_c: int, pixels: int, at_once: int) -> int:
    """The same for kernels that read and write pixels in order, `at_once` at a time."""
    starts = range(0, pixels, at_once)
    return max(min(p + at_once, pixels) * out_c - p * in_c for p in starts)


def _conv(node: Node) -> Step:
    x, y, options = node.inputs[0], node.output, node.attributes
    shape = _geometry(node)
    weights = options["weights"]
    patch = int(np.prod(weights.shape[1:]))
    groups = x.channels // weights.shape[3]
    macs = y.size * patch
    channels = requantize.of_layer(options, x, y, channel_axis=0)
    low, high = _bounds(node)
    bounds = {"clamp_min": low, "clamp_max": high}
    if channels.records is None or options["dilation"] != (1, 1):
        return _plain(node, "micronet_conv2d_plain", shape, groups, channels, macs)
    pixels = y.size // y.channels
    small = options["kernel"] == (1, 1) == options["stride"]
    if groups > 1 and small:
        depth = x.channels // groups
        doubled = np.zeros((y.channels, _round_up(depth)), np.int16)
        doubled[:, :depth] = 2 * channels.weights.reshape(y.channels, depth).astype(np.int16)
        fours = doubled.reshape(-1, 4)[:, [0, 2, 1, 3]]
        fields = {
            "pixels": pixels, "in_c": x.channels, "out_c": y.channels, "groups": groups,
            "input_zero_point": x.zero_point, **bounds,
            "weights2": Array("int16_t", fours), "channels": channels.array(),
        }  # fmt: skip
        return Step(
            "micronet_conv2d_grouped_1x1", node.label,
            [Struct("micronet_grouped", fields), x, y, "scratch"],
            [x], y, scratch=2 * _round_up(depth), macs=macs,
        )  # fmt: skip
    if groups > 1:
        return _plain(node, "micronet_conv2d_plain", shape, groups, channels, macs)
    fields = shape | bounds | {
        "weights": Array("int8_t", channels.weights), "channels": channels.array(),
    }  # fmt: skip
    params = Struct("micronet_conv", fields)
    column = x.channels == 3 and options["kernel"][1] == 1 and options["stride"][1] == 1
    if column and options["pad"][1] == 0:
        return Step("micronet_conv2d_column_rgb", node.label, [params, x, y], [x], y,
                    lag=_row_lag(node), macs=macs)  # fmt: skip
    return Step("micronet_conv2d", node.label, [params, x, y, "scratch"], [x], y,
                scratch=4 * _round_up(patch), macs=macs)  # fmt: skip


def _depthwise(node: Node) -> Step:
    x, y, options = node.inputs[0], node.output, node.attributes
    shape = _geometry(node)
    macs = y.size * options["kernel"][0] * options["kernel"][1]
    channels = requantize.of_layer(options, x, y, channel_axis=3)
    if channels.records is None or options["dilation"] != (1, 1):
        return _plain(node, "micronet_depthwise_plain", shape, 1, channels, macs)
    low, high = _bounds(node)
    fields = shape | {
        "clamp_min": low, "clamp_max": high,
        "weights": Array("int8_t", channels.weights), "channels": channels.array(),
    }  # fmt: skip
    return Step("micronet_depthwise", node.label, [Struct("micronet_conv", fields), x, y],
                [x], y, macs=macs)  # fmt: skip


def _plain(node, kernel, shape, groups, channels, macs) -> Step:
    low, high = _bounds(node)
    options = node.attributes
    fields = shape | {
        "dilation_h": options["dilation"][0], "dilation_w": options["dilation"][1],
        "groups": groups, "output_zero_point": node.output.zero_point,
        "clamp_min": low, "clamp_max": high,
        "weights": Array("int8_t", options["weights"]),
        "bias": None if options["bias"] is None else Array("int32_t", options["bias"]),
        "multiplier": Array("int32_t", channels.multiplier),
        "shift": Array("int8_t", channels.shift),
    }  # fmt: skip
    x, y = node.inputs[0], node.output
    return Step(kernel, node.label, [Struct("micronet_conv_plain", fields), x, y], [x], y,
                macs=macs, notes=["scales outside the fast kernel's range"])  # fmt: skip


def _fully_connected(node: Node) -> Step:
    x, y, options = node.inputs[0], node.output, node.attributes
    units, depth = options["weights"].shape
    rows = x.size // depth
    channels = requantize.of_layer(options, x, y, channel_axis=0, dense=True)
    low, high = _bounds(node)
    if rows == 1 and channels.uniform and channels.records is not None:
        record = channels.records[0]
        fields = {
            "in_c": depth, "out_c": units, "input_zero_point": x.zero_point,
            "clamp_min": low, "clamp_max": high,
            "multiplier": record[1], "offset": record[2], "shift": record[3],
            "weights": Array("int8_t", options["weights"]),
            "bias2": Array("int32_t", np.array([r[0] for r in channels.records])),
        }  # fmt: skip
        return Step(
            "micronet_fully_connected", node.label,
            [Struct("micronet_dense", fields), x, y, "scratch"],
            [x], y, scratch=2 * _round_up(depth), macs=y.size * depth,
        )  # fmt: skip
    # A dense layer with a scale per channel, or of several rows, is a 1x1 convolution of a row.
    shape = {
        "in_h": 1, "in_w": rows, "in_c": depth, "out_h": 1, "out_w": rows, "out_c": units,
        "kernel_h": 1, "kernel_w": 1, "stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0,
        "input_zero_point": x.zero_point,
    }  # fmt: skip
    if channels.records is None:
        options["dilation"] = (1, 1)
        return _plain(node, "micronet_conv2d_plain", shape, 1, channels, y.size * depth)
    fields = shape | {
        "clamp_min": low, "clamp_max": high,
        "weights": Array("int8_t", channels.weights), "channels": channels.array(),
    }  # fmt: skip
    return Step(
        "micronet_conv2d", node.label, [Struct("micronet_conv", fields), x, y, "scratch"],
        [x], y, scratch=4 * _round_up(depth), macs=y.size * depth,
    )  # fmt: skip


# --- DY-ShiftMax -------------------------------------------------------------------------------


def _dy_shift_max(node: Node) -> Step:
    x, *coefficients = node.inputs
    y, source = node.output, node.attributes["source"]
    pairs = [[coefficient_multiplier(c, x, y), c.zero_point] for c in coefficients]
    pairs += [[0, 0]] * (4 - len(pairs))
    natural = np.array_equal(source, np.arange(x.channels))
    fields = {
        "pixels": x.size // x.channels, "channels": x.channels,
        "branches": len(coefficients) // 2,
        "input_zero_point": x.zero_point, "output_zero_point": y.zero_point,
        "coefficient": pairs,
        "shift": Array("uint16_t", node.attributes["shift"]),
        "source": None if natural else Array("uint16_t", source),
    }  # fmt: skip
    pointers = coefficients + [None] * (4 - len(coefficients))
    # Four pixels at a time: more hardly pays.
    scratch = x.channels * min(4, x.size // x.channels)
    return Step(
        "micronet_dyshiftmax", node.label,
        [Struct("micronet_dyshiftmax_params", fields), x, pointers, y, "scratch", scratch],
        [x, *coefficients], y, scratch=scratch, in_place=True, macs=x.size * len(coefficients),
    )  # fmt: skip


# --- the rest ----------------------------------------------------------------------------------


def _pool(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    shape = _geometry(node)
    low, high = _bounds(node)
    average = node.kind == "AVERAGE_POOL_2D"
    whole = y.shape[1:3] == (1, 1) and node.attributes["kernel"] == x.shape[1:3]
    if average and whole and (low, high) == (-128, 127) and node.attributes["pad"] == (0, 0):
        arguments = [x.size // x.channels, x.channels, x, y]
        return Step("micronet_global_average_pool", node.label, arguments, [x], y)
    del shape["out_c"], shape["input_zero_point"]
    shape["channels"] = shape.pop("in_c")
    kernel = "micronet_average_pool" if average else "micronet_max_pool"
    params = Struct("micronet_pool", shape | {"clamp_min": low, "clamp_max": high})
    return Step(kernel, node.label, [params, x, y], [x], y)


def _binary(node: Node) -> Step:
    a, b = node.inputs
    y = node.output
    for operand in (a, b):
        tail = operand.shape[next((i for i, n in enumerate(operand.shape) if n != 1), 0) :]
        if operand.size not in (1, y.size) and tail != y.shape[len(y.shape) - len(tail) :]:
            raise _refusal(node, "only trailing axes may be broadcast, as in [1, 1, 1, C]")
    counts = [y.size, a.size, b.size]
    places = [v if v.data is None else Array("int8_t", v.data) for v in (a, b)]
    inputs = [v for v in (a, b) if v.data is None]
    if node.kind in ("MAXIMUM", "MINIMUM"):
        if not a.quantization == b.quantization == y.quantization:
            raise _refusal(node, "its tensors must share scale and zero point")
        kernel = f"micronet_{node.kind.lower()}"
        return Step(kernel, node.label, [*counts, *places, y], inputs, y, in_place=True)
    low, high = _bounds(node)
    fields = {
        "count": y.size, "in1_count": a.size, "in2_count": b.size,
        "in1_zero_point": a.zero_point, "in2_zero_point": b.zero_point,
        "output_zero_point": y.zero_point, "clamp_min": low, "clamp_max": high,
    }  # fmt: skip
    if node.kind == "ADD":
        twice = 2 * max(a.scale, b.scale)
        reals = {"in1": a.scale / twice, "in2": b.scale / twice,
                 "out": twice / (2.0**20 * y.scale)}  # fmt: skip
    else:
        reals = {"out": a.scale * b.scale / y.scale}
    for name, real in reals.items():
        multiplier, shift = fixed_point.quantize_multiplier(real)
        fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    kernel = f"micronet_{node.kind.lower()}"
    return Step(kernel, node.label, [Struct("micronet_binary", fields), *places, y], inputs, y,
                in_place=True, macs=y.size if node.kind == "MUL" else 0)  # fmt: skip


def _hard_swish(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    output, output_exponent, reluish, reluish_exponent = fixed_point.hard_swish_parameters(
        x.scale, y.scale
    )
    if output_exponent > 0:
        raise _refusal(node, f"its output scale {y.scale:g} is too small for its input's")
    fields = {
        "input_zero_point": x.zero_point, "output_zero_point": y.zero_point,
        "output_multiplier": output, "reluish_multiplier": reluish,
        "output_exponent": output_exponent, "reluish_exponent": reluish_exponent,
    }  # fmt: skip
    params = Struct("micronet_hard_swish_params", fields)
    return Step("micronet_hard_swish", node.label, [params, x.size, x, y], [x], y, in_place=True)


def _lookup(node: Node) -> Step:
    """RELU and int8 to int8 QUANTIZE: a requantization of each value, tabulated."""
    x, y = node.inputs[0], node.output
    multiplier, shift = fixed_point.quantize_multiplier(x.scale / y.scale)
    steps = [fixed_point.requantize(q - x.zero_point, multiplier, shift) for q in range(-128, 128)]
    low = max(-128, y.zero_point) if node.kind == "RELU" else -128
    table = np.clip(np.array(steps, np.int64) + y.zero_point, low, 127)
    arguments = [Array("int8_t", table), x.size, x, y]
    return Step("micronet_lookup", node.label, arguments, [x], y, in_place=True)


def _relu6(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    if x.quantization != y.quantization:
        raise _refusal(node, "a RELU6 of its own that changes the scale; fuse it with its layer")
    low, high = fixed_point.activation_bounds("RELU6", *y.quantization)
    arguments = [x.size, low, high, x, y]
    return Step("micronet_clamp", node.label, arguments, [x], y, in_place=True)


def _softmax(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    if y.quantization != (1 / 256, -128):
        raise _refusal(node, "its output must have scale 1/256 and zero point -128")
    beta = node.attributes["beta"]
    if not 0 < beta * x.scale < 1e6:
        raise _refusal(node, f"beta {beta:g} is not usable")
    multiplier, shift, least = fixed_point.softmax_parameters(beta, x.scale)
    if shift < 0:
        raise _refusal(node, f"its input scale {x.scale:g} is too small")
    fields = {
        "rows": x.size // x.channels, "depth": x.channels,
        "input_multiplier": multiplier, "input_left_shift": shift, "diff_min": least,
    }  # fmt: skip
    params = Struct("micronet_softmax_params", fields)
    return Step("micronet_softmax", node.label, [params, x, y], [x], y)


def _gather(node: Node) -> Step:
    if not is_channel_gather(node):
        raise _refusal(node, f"axis {node.attributes['axis']}; only the last axis is supported")
    x, y, index = node.inputs[0], node.output, node.attributes["constant"]
    arguments = [x.size // x.channels, x.channels, y.channels, Array("uint16_t", index), x, y]
    return Step("micronet_gather_channels", node.label, arguments, [x], y)


def _pad(node: Node) -> Step:
    x, y, amounts = node.inputs[0], node.output, node.attributes["constant"]
    if len(x.shape) != 4 or amounts[0].any():
        raise _refusal(node, "only height, width and channels of an image can be padded")
    names = ("top", "bottom", "left", "right", "front", "back")
    fields = dict(zip(("in_h", "in_w", "in_c"), x.shape[1:], strict=True))
    fields |= dict(zip(names, (int(n) for n in amounts[1:].ravel()), strict=True))
    params = Struct("micronet_pad_params", fields | {"value": y.zero_point})
    return Step("micronet_pad", node.label, [params, x, y], [x], y)


def _mean(node: Node) -> Step:
    raise _refusal(node, "MEAN; use global average pooling (AVERAGE_POOL_2D)")


_BUILDERS: dict[str, Callable[[Node], Step]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "DY_SHIFT_MAX": _dy_shift_max,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "ADD": _binary,
    "MUL": _binary,
    "MAXIMUM": _binary,
    "MINIMUM": _binary,
    "HARD_SWISH": _hard_swish,
    "RELU": _lookup,
    "QUANTIZE": _lookup,
    "RELU6": _relu6,
    "SOFTMAX": _softmax,
    "GATHER": _gather,
    "PAD": _pad,
}
