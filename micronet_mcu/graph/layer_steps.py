"""Chooses the kernel of a convolution or dense layer and prepares its parameters."""

from dataclasses import replace

import numpy as np

from micronet_mcu.errors import UserError
from micronet_mcu.graph import fixed_point, requantize
from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.program import Array, Step, Struct

_MOST_COLUMN_ROWS = 8  # micronet_kernels.h


def refusal(node: Node, reason: str) -> UserError:
    """The error for a node that no kernel can do."""
    return UserError(f"cannot compile {node.label}: {reason}")


def clamps(node: Node) -> dict[str, int]:
    """The kernels' fields for a fused activation."""
    activation = node.attributes.get("fused_activation_function", "NONE")
    bounds = fixed_point.activation_bounds(activation, *node.output.quantization)
    if bounds is None:
        raise refusal(node, f"fused activation {activation} is not supported")
    return {"clamp_min": bounds[0], "clamp_max": bounds[1]}


def _round_up(count: int, to: int = 4) -> int:
    return -(-count // to) * to


def geometry(node: Node) -> dict:
    """The kernels' fields for sizes, strides and padding."""
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


def convolution(node: Node) -> Step:
    x, y, options = node.inputs[0], node.output, node.attributes
    shape = geometry(node)
    weights = options["weights"]
    patch = int(np.prod(weights.shape[1:]))
    groups = x.channels // weights.shape[3]
    macs = y.size * patch
    channels = requantize.of_layer(options, x, y, channel_axis=0)
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
            "input_zero_point": x.zero_point, **clamps(node),
            "doubled_weights": Array("int16_t", fours), "channels": channels.array(),
        }  # fmt: skip
        return Step(
            "micronet_conv2d_grouped_1x1", node.label,
            [Struct("micronet_conv2d_grouped_1x1_params", fields), x, y, "scratch"],
            [x], y, scratch=2 * _round_up(depth),
            scratch_macro=f"MICRONET_CONV2D_GROUPED_1X1_SCRATCH({depth})", macs=macs,
        )  # fmt: skip
    if groups > 1:
        return _plain(node, "micronet_conv2d_plain", shape, groups, channels, macs)
    fields = shape | clamps(node) | {
        "weights": Array("int8_t", channels.weights), "channels": channels.array(),
    }  # fmt: skip
    params = Struct("micronet_conv_params", fields)
    column = x.channels == 3 and options["kernel"][1] == 1 and options["stride"][1] == 1
    if column and options["pad"][1] == 0 and options["kernel"][0] <= _MOST_COLUMN_ROWS:
        return Step("micronet_conv2d_column_rgb", node.label, [params, x, y], [x], y,
                    lag=_row_lag(node), macs=macs)  # fmt: skip
    return Step("micronet_conv2d", node.label, [params, x, y, "scratch"], [x], y,
                scratch=5 * _round_up(patch),
                scratch_macro=f"MICRONET_CONV2D_SCRATCH({patch})", macs=macs)  # fmt: skip


def depthwise(node: Node) -> Step:
    x, y, options = node.inputs[0], node.output, node.attributes
    shape = geometry(node)
    macs = y.size * options["kernel"][0] * options["kernel"][1]
    channels = requantize.of_layer(options, x, y, channel_axis=3, set_apart=True)
    if options["dilation"] != (1, 1):
        return _plain(node, "micronet_depthwise_plain", shape, 1, channels, macs)
    source = options.get("source")  # fold.py
    fields = shape | {
        **clamps(node),
        "weights": Array("int8_t", channels.weights), "channels": channels.array(),
        "source": None if source is None else Array("uint16_t", source),
    }  # fmt: skip
    params = Struct("micronet_conv_params", fields)
    step = Step("micronet_depthwise", node.label, [params, x, y], [x], y, macs=macs)
    if not channels.wide:
        return step
    wide = np.array(channels.wide)
    bias = np.zeros(y.channels, np.int64) if options["bias"] is None else options["bias"]
    fields = {
        "count": len(wide), "output_zero_point": y.zero_point,
        "channel": Array("uint16_t", wide),
        "weights": Array("int8_t", np.moveaxis(options["weights"], 3, 0)[wide]),
        "bias": Array("int32_t", bias[wide]),
        "multiplier": Array("int32_t", channels.multiplier[wide]),
        "shift": Array("int8_t", channels.shift[wide]),
    }  # fmt: skip
    arguments = [step.kernel, params, Struct("micronet_depthwise_wide_params", fields), x, y]
    return replace(
        step,
        kernel="micronet_depthwise_wide",
        arguments=arguments,
        notes=["some channels' scales are outside the fast kernel's range"],
    )


def specialized(step: Step) -> Step:
    """The same step by a kernel that needs less flash, where one fits (see micronet_kernels.h)."""
    if step.kernel not in ("micronet_depthwise", "micronet_depthwise_wide"):
        return step
    shape = next(a for a in step.arguments if isinstance(a, Struct)).fields

    def fits(along: str, across: str, start: str, side: str) -> bool:
        taps, stride, pad = (shape[f] for f in (f"kernel_{along}", f"stride_{along}", start))
        inside, outputs = shape[f"in_{along}"], shape[f"out_{along}"]
        last = (shape[f"out_{across}"] - 1) * shape[f"stride_{across}"]
        return (
            shape[f"kernel_{across}"] == 1
            and shape[side] == 0
            and last < shape[f"in_{across}"]
            and taps <= 5
            and stride <= 2
            and outputs * stride <= 250
            and pad < taps
            and (outputs - 1) * stride - pad < inside
        )

    if fits("h", "w", "pad_top", "pad_left") or fits("w", "h", "pad_left", "pad_top"):
        if step.kernel == "micronet_depthwise":
            return replace(step, kernel="micronet_depthwise_1d")
        return replace(step, arguments=["micronet_depthwise_1d", *step.arguments[1:]])
    return step


def _plain(node, kernel, shape, groups, channels, macs) -> Step:
    options = node.attributes
    fields = shape | {
        "dilation_h": options["dilation"][0], "dilation_w": options["dilation"][1],
        "groups": groups, "output_zero_point": node.output.zero_point,
        **clamps(node),
        "weights": Array("int8_t", options["weights"]),
        "bias": None if options["bias"] is None else Array("int32_t", options["bias"]),
        "multiplier": Array("int32_t", channels.multiplier),
        "shift": Array("int8_t", channels.shift),
    }  # fmt: skip
    x, y = node.inputs[0], node.output
    return Step(kernel, node.label, [Struct("micronet_conv_plain_params", fields), x, y], [x], y,
                macs=macs, notes=["scales outside the fast kernel's range"])  # fmt: skip


def fully_connected(node: Node) -> Step:
    x, y, options = node.inputs[0], node.output, node.attributes
    units, depth = options["weights"].shape
    rows = x.size // depth
    channels = requantize.of_layer(options, x, y, channel_axis=0, dense=True)
    if rows == 1 and channels.uniform and channels.records is not None:
        record = channels.records[0]
        fields = {
            "in_c": depth, "out_c": units, "input_zero_point": x.zero_point,
        **clamps(node),
            "multiplier": record[1], "offset": record[2], "shift": record[3],
            "weights": Array("int8_t", options["weights"]),
            "doubled_bias": Array("int32_t", np.array([r[0] for r in channels.records])),
        }  # fmt: skip
        return Step(
            "micronet_fully_connected", node.label,
            [Struct("micronet_fully_connected_params", fields), x, y, "scratch"],
            [x], y, scratch=2 * _round_up(depth),
            scratch_macro=f"MICRONET_FULLY_CONNECTED_SCRATCH({depth})", macs=y.size * depth,
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
        **clamps(node),
        "weights": Array("int8_t", channels.weights), "channels": channels.array(),
    }  # fmt: skip
    return Step(
        "micronet_conv2d", node.label, [Struct("micronet_conv_params", fields), x, y, "scratch"],
        [x], y, scratch=5 * _round_up(depth),
        scratch_macro=f"MICRONET_CONV2D_SCRATCH({depth})", macs=y.size * depth,
    )  # fmt: skip
