"""Chooses the kernel of every node and prepares its parameters: the steps that C will run."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from micronet_mcu.graph import fixed_point, layer_steps, requantize
from micronet_mcu.graph.dy_shift_max import coefficient_multiplier, is_channel_gather
from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.graph.program import Array, Step, Struct


def steps_of(graph: Graph) -> list[Step]:
    """Raises UserError, with the operator's name, index and shapes, where no kernel can do it."""
    return [_step(node) for node in graph.nodes]


def _step(node: Node) -> Step:
    largest = max(n for v in (*node.inputs, node.output) for n in v.shape)
    if largest > 32767:
        raise layer_steps.refusal(node, f"its size {largest} is beyond the kernels' 32767")
    return _BUILDERS[node.kind](node)


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
    return Step(
        "micronet_dyshiftmax", node.label,
        [Struct("micronet_dyshiftmax_params", fields), x, pointers, y, "scratch", "scratch_bytes"],
        [x, *coefficients], y, scratch=x.channels, scratch_unit=x.channels,
        scratch_macro=f"MICRONET_DYSHIFTMAX_SCRATCH({x.channels})", in_place=True,
        macs=x.size * len(coefficients),
    )  # fmt: skip


def _pool(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    shape = layer_steps.geometry(node)
    clamps = layer_steps.clamps(node)
    average = node.kind == "AVERAGE_POOL_2D"
    whole = y.shape[1:3] == (1, 1) and node.attributes["kernel"] == x.shape[1:3]
    if (
        average
        and whole
        and tuple(clamps.values()) == (-128, 127)
        and node.attributes["pad"] == (0, 0)
    ):
        arguments = [x.size // x.channels, x.channels, x, y]
        return Step("micronet_global_average_pool", node.label, arguments, [x], y)
    del shape["out_c"], shape["input_zero_point"]
    shape["channels"] = shape.pop("in_c")
    kernel = "micronet_average_pool" if average else "micronet_max_pool"
    params = Struct("micronet_pool_params", shape | clamps)
    return Step(kernel, node.label, [params, x, y], [x], y)


def _binary(node: Node) -> Step:
    a, b = node.inputs
    y = node.output
    for operand in (a, b):
        tail = operand.shape[next((i for i, n in enumerate(operand.shape) if n != 1), 0) :]
        if operand.size not in (1, y.size) and tail != y.shape[len(y.shape) - len(tail) :]:
            raise layer_steps.refusal(
                node, "only trailing axes may be broadcast, as in [1, 1, 1, C]"
            )
    counts = [y.size, a.size, b.size]
    places = [v if v.data is None else Array("int8_t", v.data) for v in (a, b)]
    inputs = [v for v in (a, b) if v.data is None]
    if node.kind in ("MAXIMUM", "MINIMUM"):
        if not a.quantization == b.quantization == y.quantization:
            raise layer_steps.refusal(node, "its tensors must share scale and zero point")
        kernel = f"micronet_{node.kind.lower()}"
        return Step(kernel, node.label, [*counts, *places, y], inputs, y, in_place=True)
    fields = {
        "count": y.size, "in1_count": a.size, "in2_count": b.size,
        "in1_zero_point": a.zero_point, "in2_zero_point": b.zero_point,
        "output_zero_point": y.zero_point, **layer_steps.clamps(node),
    }  # fmt: skip
    reals = {"out": a.scale * b.scale / y.scale}
    if node.kind == "ADD":
        twice = 2 * max(a.scale, b.scale)
        reals = {"in1": a.scale / twice, "in2": b.scale / twice,
                 "out": twice / (2.0**20 * y.scale)}  # fmt: skip
    for name, real in reals.items():
        multiplier, shift = fixed_point.quantize_multiplier(real)
        fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    kernel = "micronet_add_plain" if node.kind == "ADD" else "micronet_mul"
    params = Struct("micronet_binary_params", fields)
    return Step(kernel, node.label, [params, *places, y], inputs, y,
                in_place=True, macs=y.size if node.kind == "MUL" else 0)  # fmt: skip


def _add(node: Node) -> Step:
    if node.inputs[0].scale < node.inputs[1].scale:
        node.inputs.reverse()
    plain = _binary(node)
    large, small = node.inputs
    twice = 2 * large.scale
    record = requantize.record_tail(twice / (2.0**20 * node.output.scale), node.output.zero_point)
    if record is None:
        return plain
    scale = fixed_point.quantize_multiplier(small.scale / twice)
    steps = [(q - small.zero_point) << 20 for q in range(-128, 128)]
    table = [2 * fixed_point.requantize(x, *scale) - (large.zero_point << 20) for x in steps]
    fields = {
        "count": node.output.size, "in1_count": large.size, "in2_count": small.size,
        **dict(zip(("multiplier", "offset", "shift"), record, strict=True)),
        **layer_steps.clamps(node),
        "table": Array("int32_t", np.array(table)),
    }  # fmt: skip
    params = Struct("micronet_add_params", fields)
    return replace(plain, kernel="micronet_add", arguments=[params, *plain.arguments[1:]])


def _hard_swish(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    try:
        table = fixed_point.hard_swish_table(*x.quantization, *y.quantization)
    except ValueError:
        raise layer_steps.refusal(
            node, f"its scales, {x.scale:g} in and {y.scale:g} out, are too far apart"
        ) from None
    return _tabulated(node, table)


def _tabulated(node: Node, table: np.ndarray) -> Step:
    x, y = node.inputs[0], node.output
    arguments = [Array("int8_t", table), x.size, x, y]
    return Step("micronet_lookup", node.label, arguments, [x], y, in_place=True)


def _lookup(node: Node) -> Step:
    """RELU and int8 to int8 QUANTIZE: a requantization of each value, tabulated."""
    x, y = node.inputs[0], node.output
    multiplier, shift = fixed_point.quantize_multiplier(x.scale / y.scale)
    steps = [fixed_point.requantize(q - x.zero_point, multiplier, shift) for q in range(-128, 128)]
    low = max(-128, y.zero_point) if node.kind == "RELU" else -128
    table = np.clip(np.array(steps, np.int64) + y.zero_point, low, 127)
    return _tabulated(node, table)


def _relu6(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    if x.quantization != y.quantization:
        raise layer_steps.refusal(
            node, "a RELU6 of its own that changes the scale; fuse it with its layer"
        )
    low, high = fixed_point.activation_bounds("RELU6", *y.quantization)
    arguments = [x.size, low, high, x, y]
    return Step("micronet_clamp", node.label, arguments, [x], y, in_place=True)


def _softmax(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    if y.quantization != (1 / 256, -128):
        raise layer_steps.refusal(node, "its output must have scale 1/256 and zero point -128")
    beta = node.attributes["beta"]
    if not 0 < beta * x.scale < 1e6:
        raise layer_steps.refusal(node, f"beta {beta:g} is not usable")
    multiplier, shift, least = fixed_point.softmax_parameters(beta, x.scale)
    if shift < 0:
        raise layer_steps.refusal(node, f"its input scale {x.scale:g} is too small")
    fields = {
        "rows": x.size // x.channels, "depth": x.channels,
        "input_multiplier": multiplier, "input_left_shift": shift, "diff_min": least,
    }  # fmt: skip
    params = Struct("micronet_softmax_params", fields)
    return Step("micronet_softmax", node.label, [params, x, y], [x], y)


def _gather(node: Node) -> Step:
    if not is_channel_gather(node):
        raise layer_steps.refusal(
            node, f"axis {node.attributes['axis']}; only the last axis is supported"
        )
    x, y, index = node.inputs[0], node.output, node.attributes["constant"]
    arguments = [x.size // x.channels, x.channels, y.channels, Array("uint16_t", index), x, y]
    return Step("micronet_gather_channels", node.label, arguments, [x], y)


def _pad(node: Node) -> Step:
    x, y, amounts = node.inputs[0], node.output, node.attributes["constant"]
    if len(x.shape) != 4 or amounts[0].any():
        raise layer_steps.refusal(node, "only height, width and channels of an image can be padded")
    names = ("top", "bottom", "left", "right", "front", "back")
    fields = dict(zip(("in_h", "in_w", "in_c"), x.shape[1:], strict=True))
    fields |= dict(zip(names, (int(n) for n in amounts[1:].ravel()), strict=True))
    params = Struct("micronet_pad_params", fields | {"value": y.zero_point})
    return Step("micronet_pad", node.label, [params, x, y], [x], y)


def _mean(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    axes = sorted(int(axis) % len(x.shape) for axis in node.attributes["constant"].ravel())
    if len(x.shape) != 4 or axes != [1, 2]:
        raise layer_steps.refusal(node, f"axes {axes}; only height and width, 1 and 2, are")
    pixels = x.size // x.channels
    multiplier, shift = fixed_point.mean_multiplier(x.scale / y.scale, pixels)
    fields = {
        "pixels": pixels, "channels": x.channels,
        "input_offset": pixels * x.zero_point, "multiplier": multiplier,
        "shift": shift, "output_zero_point": y.zero_point,
    }  # fmt: skip
    params = Struct("micronet_mean_params", fields)
    return Step("micronet_mean", node.label, [params, x, y], [x], y)


def _resize_bilinear(node: Node) -> Step:
    x, y = node.inputs[0], node.output
    if x.quantization != y.quantization:
        raise layer_steps.refusal(node, "its tensors must share scale and zero point")
    fields = {"channels": x.channels}
    for letter, before, after in zip("hw", x.shape[1:3], y.shape[1:3], strict=True):
        aligned = node.attributes["align_corners"] and after > 1
        source, target = (before - 1, after - 1) if aligned else (before, after)
        step = (1024 * source + target // 2) // target
        centred = node.attributes["half_pixel_centers"]
        fields |= {
            f"in_{letter}": before,
            f"out_{letter}": after,
            f"step_{letter}": step,
            f"start_{letter}": step // 2 - 512 if centred else 0,
        }
    params = Struct("micronet_resize_bilinear_params", fields)
    return Step("micronet_resize_bilinear", node.label, [params, x, y], [x], y)


_BUILDERS: dict[str, Callable[[Node], Step]] = {
    "CONV_2D": layer_steps.convolution,
    "DEPTHWISE_CONV_2D": layer_steps.depthwise,
    "FULLY_CONNECTED": layer_steps.fully_connected,
    "DY_SHIFT_MAX": _dy_shift_max,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "ADD": _add,
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
    "RESIZE_BILINEAR": _resize_bilinear,
}
