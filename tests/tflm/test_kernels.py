"""Every kernel against TF Lite Micro's own result of the same operator, bit for bit."""

import ctypes as c
import math

import kernel_library as k
import numpy as np
import pytest
import single_op
from hypothesis import given, settings
from hypothesis import strategies as st
from single_op import Tensor, schema

from micronet_mcu.graph import fixed_point

Op = schema.BuiltinOperator
Activation = schema.ActivationFunctionType

quick = settings(max_examples=60, derandomize=True, database=None)
zero_points = st.integers(-128, 127)
seeds = st.integers(0, 2**32 - 1)
# As networks have them and as they should not; round ones, whose ratios come close to halves.
scales = st.one_of(
    st.floats(0.002, 0.2),
    st.floats(1e-5, 50.0),
    st.integers(1, 999).map(lambda n: n / 1000),
    st.integers(-10, 3).map(lambda n: 2.0**n),
).map(np.float32)
activations = st.sampled_from([Activation.NONE, Activation.RELU, Activation.RELU6])


def int8(rng, shape, lowest=-128):
    return rng.integers(lowest, 128, shape).astype(np.int8)


def bounds(activation, scale, zero_point):
    """The clamp of a fused activation, in output steps."""

    def step(real):
        return zero_point + round_half_away(np.float32(real) / np.float32(scale))

    low = max(-128, step(0.0)) if activation != Activation.NONE else -128
    high = min(127, step(6.0)) if activation == Activation.RELU6 else 127
    return low, high


def round_half_away(x):
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def same_padding(size, kernel, stride):
    out = -(-size // stride)
    return out, max((out - 1) * stride + kernel - size, 0) // 2


def output_extent(padding, size, kernel, stride):
    if padding == schema.Padding.SAME:
        return same_padding(size, kernel, stride)
    return (size - kernel) // stride + 1, 0


def scale_weights(rng, channels, in_scale, out_scale, taps, per_channel=True):
    """Scales of weights that make outputs fill their range, sometimes of a dead channel."""
    typical = out_scale / in_scale / (64 * math.sqrt(taps))
    spread = rng.uniform(0.3, 3.0, channels if per_channel else 1) * typical
    if rng.integers(4) == 0:
        spread[rng.integers(len(spread))] = typical * 10.0 ** rng.uniform(-9, 2)
    return spread.astype(np.float32)


def make_bias(rng, channels, taps):
    bias = rng.normal(0, 4000 * math.sqrt(taps), channels)
    if rng.integers(6) == 0:
        bias[rng.integers(channels)] = rng.choice([-1, 1]) * 2.0 ** rng.uniform(20, 29)
    return np.round(bias).astype(np.int32)


def plain_arrays(multipliers, shifts):
    return np.array(multipliers, np.int32), np.array(shifts, np.int8)


class ConvCase:
    """A random convolution, TF Lite Micro's answer, and ours by every form that fits."""

    def __init__(
        self, seed, size, kernel, stride, in_c, out_c, groups, padding, activation, zeros, s
    ):
        rng = np.random.default_rng(seed)
        self.depthwise = groups == "depthwise"
        group_in = 1 if self.depthwise else in_c // groups
        taps = kernel[0] * kernel[1] * group_in
        self.in_zero, self.out_zero = zeros
        in_scale, out_scale = np.float32(s[0]), np.float32(s[1])
        w_scales = scale_weights(rng, out_c, in_scale, out_scale, taps)
        if self.depthwise:
            self.weights = int8(rng, (1, *kernel, out_c), -127)
            self.rows = self.weights.reshape(-1, out_c).T
        else:
            self.weights = int8(rng, (out_c, *kernel, group_in), -127)
            self.rows = self.weights.reshape(out_c, -1)
        self.bias = make_bias(rng, out_c, taps)
        self.x = int8(rng, (1, *size, in_c))
        real = [float(in_scale) * float(w) / float(out_scale) for w in w_scales]
        self.multipliers, self.shifts = zip(*map(k.quantize_multiplier, real), strict=True)
        (out_h, top), (out_w, left) = (
            output_extent(padding, *axis) for axis in zip(size, kernel, stride, strict=True)
        )
        self.clamp = bounds(activation, out_scale, self.out_zero)
        self.geometry = {
            "in_h": size[0], "in_w": size[1], "in_c": in_c,
            "out_h": out_h, "out_w": out_w, "out_c": out_c,
            "kernel_h": kernel[0], "kernel_w": kernel[1],
            "stride_h": stride[0], "stride_w": stride[1],
            "pad_top": top, "pad_left": left, "input_zero_point": self.in_zero,
            "clamp_min": self.clamp[0], "clamp_max": self.clamp[1],
        }  # fmt: skip
        self.groups = 1 if self.depthwise else groups
        options = schema.DepthwiseConv2DOptionsT() if self.depthwise else schema.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = padding, activation
        options.strideH, options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = 1
        if self.depthwise:
            options.depthMultiplier = out_c // in_c
        self.expected = single_op.run(
            Op.DEPTHWISE_CONV_2D if self.depthwise else Op.CONV_2D,
            options,
            [
                Tensor(self.x.shape, in_scale, self.in_zero),
                Tensor(self.weights.shape, w_scales, 0, self.weights, 3 if self.depthwise else 0),
                Tensor((out_c,), in_scale * w_scales, 0, self.bias),
            ],
            Tensor((1, out_h, out_w, out_c), out_scale, self.out_zero),
            [self.x],
            version=3,
        )

    def check_plain(self):
        multiplier, shift = plain_arrays(self.multipliers, self.shifts)
        params = k.ConvPlain(
            **self.geometry, dilation_h=1, dilation_w=1, groups=self.groups,
            output_zero_point=self.out_zero, weights=k.pointer(self.weights),
            bias=k.pointer(self.bias), multiplier=k.pointer(multiplier), shift=k.pointer(shift),
        )  # fmt: skip
        out = np.zeros_like(self.expected)
        name = "depthwise_plain" if self.depthwise else "conv2d_plain"
        k.call(name, True, params, self.x, out)
        np.testing.assert_array_equal(out, self.expected)

    def check(self, name, *extra):
        """Runs a prepared kernel in both forms; returns whether the scales fit it."""
        self.check_plain()
        prepared = k.prepare(self.rows, self.bias, self.multipliers, self.shifts, self.out_zero)
        if prepared is None:
            return False
        records, rows = prepared
        weights = np.ascontiguousarray(rows.T if self.depthwise else rows)
        params = k.Conv(**self.geometry, weights=k.pointer(weights), channels=c.addressof(records))
        for reference in (True, False):
            out = np.zeros_like(self.expected)
            k.call(name, reference, params, self.x, out, *extra)
            np.testing.assert_array_equal(out, self.expected)
        return True

    def check_depthwise_source(self, multiplier, order):
        """Outputs in another order, some perhaps twice: what a GATHER afterwards makes of them."""
        rows, bias = self.rows[order], self.bias[order]
        numbers = ([values[i] for i in order] for values in (self.multipliers, self.shifts))
        prepared = k.prepare(rows, bias, *numbers, self.out_zero)
        if prepared is None:
            return
        records, rows = prepared
        weights, source = np.ascontiguousarray(rows.T), (order // multiplier).astype(np.uint16)
        geometry = self.geometry | {"out_c": len(order)}
        params = k.Conv(
            **geometry, weights=k.pointer(weights), channels=c.addressof(records),
            source=k.pointer(source),
        )  # fmt: skip
        expected = np.ascontiguousarray(self.expected[..., order])
        for reference in (True, False):
            out = np.zeros_like(expected)
            k.call("depthwise", reference, params, self.x, out, k.scratch(800), c.c_size_t(800))
            np.testing.assert_array_equal(out, expected)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
strides = st.tuples(st.integers(1, 2), st.integers(1, 2))
pads = st.sampled_from([schema.Padding.SAME, schema.Padding.VALID])
common = {
    "seed": seeds, "activation": activations, "zeros": st.tuples(zero_points, zero_points),
    "s": st.tuples(scales, scales),
}  # fmt: skip


def at_least(size, kernel):
    return tuple(max(pair) for pair in zip(size, kernel, strict=True))


@pytest.mark.slow
@quick
@given(
    **common, size=sizes, kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)), stride=strides,
    in_c=st.integers(1, 19), out_c=st.integers(1, 9), padding=pads,
)  # fmt: skip
def test_conv2d(seed, size, kernel, stride, in_c, out_c, padding, activation, zeros, s):
    case = ConvCase(
        seed, at_least(size, kernel), kernel, stride, in_c, out_c, 1, padding, activation, zeros, s
    )
    row = -(-kernel[0] * kernel[1] * in_c // 4) * 4
    for room in (5 * row, 30 * row):
        case.check("conv2d", k.scratch(room), c.c_size_t(room))


@pytest.mark.slow
@quick
@given(
    **common, size=st.tuples(st.integers(1, 9), st.integers(1, 17)), taps=st.integers(1, 4),
    stride=st.integers(1, 2), out_c=st.integers(1, 5), padding=pads,
)  # fmt: skip
def test_conv2d_column_rgb(seed, size, taps, stride, out_c, padding, activation, zeros, s):
    kernel = (taps, 1)
    case = ConvCase(
        seed,
        at_least(size, kernel),
        kernel,
        (stride, 1),
        3,
        out_c,
        1,
        padding,
        activation,
        zeros,
        s,
    )
    case.check("conv2d_column_rgb")


@quick
@given(
    **common, size=sizes, stride=strides, in_c=st.integers(1, 9), padding=pads,
    kernel=st.one_of(
        st.integers(1, 6).map(lambda n: (n, 1)), st.integers(1, 6).map(lambda n: (1, n)),
        st.just((3, 3)), st.tuples(st.integers(1, 4), st.integers(1, 4)),
    ),
    multiplier=st.sampled_from([1, 1, 2, 3, 4, 8]),
)  # fmt: skip
def test_depthwise(seed, size, kernel, stride, in_c, multiplier, padding, activation, zeros, s):
    case = ConvCase(
        seed, at_least(size, kernel), kernel, stride, in_c, in_c * multiplier, "depthwise",
        padding, activation, zeros, s,
    )  # fmt: skip
    for room in (0, 3 * 128, 30 * 128):
        case.check("depthwise", k.scratch(room), c.c_size_t(room))
    rng = np.random.default_rng(seed)
    case.check_depthwise_source(multiplier, rng.integers(0, in_c * multiplier, rng.integers(1, 12)))


@quick
@given(
    **common, size=sizes, group_in=st.sampled_from([1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 72]),
    group_out=st.integers(1, 9), groups=st.integers(1, 4),
)  # fmt: skip
def test_grouped_1x1(seed, size, group_in, group_out, groups, activation, zeros, s):
    case = ConvCase(
        seed, size, (1, 1), (1, 1), group_in * groups, group_out * groups, groups,
        schema.Padding.VALID, activation, zeros, s,
    )  # fmt: skip
    case.check_plain()
    prepared = k.prepare(case.rows, case.bias, case.multipliers, case.shifts, case.out_zero)
    if prepared is None:
        return
    records, rows = prepared
    weights = k.grouped_weights(rows)
    params = k.Grouped(
        pixels=size[0] * size[1], in_c=group_in * groups, out_c=group_out * groups, groups=groups,
        input_zero_point=case.in_zero, clamp_min=case.clamp[0], clamp_max=case.clamp[1],
        doubled_weights=k.pointer(weights), channels=c.addressof(records),
    )  # fmt: skip
    for reference in (True, False):
        out = np.zeros_like(case.expected)
        room = 12 * weights.shape[1]
        k.call(
            "conv2d_grouped_1x1", reference, params, case.x, out, k.scratch(room), c.c_size_t(room)
        )
        np.testing.assert_array_equal(out, case.expected)


def test_a_dead_channel_fits_a_record():
    """A tiny scale with a huge bias, as batch norm folding leaves them."""
    row = np.array([3, -7, 1], np.int8)
    multiplier, shift = k.quantize_multiplier(2.0**-27)
    made, weights = k.record(2**30, row, multiplier, shift, -5)
    assert (made.multiplier, made.shift, made.offset) == (0, 1, 2 * 3 + 1)
    assert not weights.any()


def test_a_channel_of_extreme_scale_needs_the_plain_form():
    row = np.array([100, -100], np.int8)
    assert k.record(0, row, *k.quantize_multiplier(3.0), 0) is None


@quick
@given(**common, in_c=st.integers(1, 70), out_c=st.integers(1, 33), per_channel=st.booleans())
def test_fully_connected(seed, in_c, out_c, per_channel, activation, zeros, s):
    rng = np.random.default_rng(seed)
    in_scale, out_scale = map(np.float32, s)
    w_scales = scale_weights(rng, out_c, in_scale, out_scale, in_c, per_channel)
    weights, bias = int8(rng, (out_c, in_c), -127), make_bias(rng, out_c, in_c)
    x = int8(rng, (1, in_c))
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation
    bias_tensor = Tensor((out_c,), in_scale * w_scales, 0, bias)
    weights_tensor = Tensor(weights.shape, w_scales, 0, weights)
    expected = single_op.run(
        Op.FULLY_CONNECTED, options,
        [Tensor(x.shape, in_scale, zeros[0]), weights_tensor, bias_tensor],
        Tensor((1, out_c), out_scale, zeros[1]), [x], version=4,
    )  # fmt: skip
    low, high = bounds(activation, out_scale, zeros[1])
    if per_channel and out_c > 1:
        real = [float(in_scale) * float(w) / float(out_scale) for w in w_scales]
    else:
        # TFLM multiplies the two scales in float32 here.
        real = [float(np.float32(in_scale * w_scales[0])) / float(out_scale)] * out_c
    multipliers, shifts = zip(*map(k.quantize_multiplier, real), strict=True)
    one_pixel = {
        "in_h": 1, "in_w": 1, "in_c": in_c, "out_h": 1, "out_w": 1, "out_c": out_c,
        "kernel_h": 1, "kernel_w": 1, "stride_h": 1, "stride_w": 1,
        "input_zero_point": zeros[0], "clamp_min": low, "clamp_max": high,
    }  # fmt: skip
    multiplier, shift = plain_arrays(multipliers, shifts)
    plain = k.ConvPlain(
        **one_pixel, dilation_h=1, dilation_w=1, groups=1, output_zero_point=zeros[1],
        weights=k.pointer(weights), bias=k.pointer(bias), multiplier=k.pointer(multiplier),
        shift=k.pointer(shift),
    )  # fmt: skip
    out = np.zeros_like(expected)
    k.call("conv2d_plain", True, plain, x, out)
    np.testing.assert_array_equal(out, expected)
    prepared = k.prepare(weights, bias, multipliers, shifts, zeros[1])
    if prepared is None:
        return
    records, rows = prepared
    params = k.Conv(**one_pixel, weights=k.pointer(rows), channels=c.addressof(records))
    for reference in (True, False):
        out = np.zeros_like(expected)
        room = 5 * (in_c + 3)
        k.call("conv2d", reference, params, x, out, k.scratch(room), c.c_size_t(room))
        np.testing.assert_array_equal(out, expected)
    shared = [made for made in records if made.multiplier]
    if per_channel or len(shared) < out_c:
        return
    doubled_bias = np.array([made.doubled_bias for made in records], np.int32)
    dense = k.Dense(
        in_c=in_c, out_c=out_c, input_zero_point=zeros[0], clamp_min=low, clamp_max=high,
        multiplier=shared[0].multiplier, offset=shared[0].offset, shift=shared[0].shift,
        weights=k.pointer(rows), doubled_bias=k.pointer(doubled_bias),
    )  # fmt: skip
    for reference in (True, False):
        out = np.zeros_like(expected)
        k.call("fully_connected", reference, dense, x, out, k.scratch(2 * (in_c + 3)))
        np.testing.assert_array_equal(out, expected)


@quick
@given(
    **common, size=sizes, channels=st.integers(1, 9), padding=pads, stride=strides,
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)), maximum=st.booleans(),
)  # fmt: skip
def test_pool(seed, size, channels, padding, stride, window, maximum, activation, zeros, s):
    size = at_least(size, window)
    x = int8(np.random.default_rng(seed), (1, *size, channels))
    scale, zero = np.float32(s[0]), zeros[0]
    options = schema.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, activation
    options.strideH, options.strideW = stride
    options.filterHeight, options.filterWidth = window
    (out_h, top), (out_w, left) = (
        output_extent(padding, *axis) for axis in zip(size, window, stride, strict=True)
    )
    expected = single_op.run(
        Op.MAX_POOL_2D if maximum else Op.AVERAGE_POOL_2D, options,
        [Tensor(x.shape, scale, zero)], Tensor((1, out_h, out_w, channels), scale, zero), [x],
        version=2,
    )  # fmt: skip
    low, high = bounds(activation, scale, zero)
    params = k.Pool(
        in_h=size[0], in_w=size[1], channels=channels, out_h=out_h, out_w=out_w,
        kernel_h=window[0], kernel_w=window[1], stride_h=stride[0], stride_w=stride[1],
        pad_top=top, pad_left=left, clamp_min=low, clamp_max=high,
    )  # fmt: skip
    for reference in (True, False):
        out = np.zeros_like(expected)
        k.call("max_pool" if maximum else "average_pool", reference, params, x, out)
        np.testing.assert_array_equal(out, expected)


@quick
@given(
    seed=seeds, size=st.tuples(st.integers(1, 20), st.integers(1, 20)), channels=st.integers(1, 19)
)
def test_global_average_pool(seed, size, channels):
    x = int8(np.random.default_rng(seed), (1, *size, channels))
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = 1
    options.filterHeight, options.filterWidth = size
    expected = single_op.run(
        Op.AVERAGE_POOL_2D, options, [Tensor(x.shape, 0.1, 3)], Tensor((1, 1, 1, channels), 0.1, 3),
        [x], version=2,
    )  # fmt: skip
    for reference in (True, False):
        out = np.zeros_like(expected)
        library = k.library(reference)
        library.micronet_global_average_pool(
            size[0] * size[1], channels, c.c_void_p(x.ctypes.data), c.c_void_p(out.ctypes.data)
        )
        np.testing.assert_array_equal(out, expected)


@quick
@given(
    seed=seeds, channels=st.integers(1, 9), pixels=st.integers(1, 9), activation=activations,
    s=st.tuples(scales, scales, scales), zeros=st.tuples(zero_points, zero_points, zero_points),
    shape=st.sampled_from(["same", "channels", "one", "channels first"]),
    operator=st.sampled_from(["add", "mul", "maximum", "minimum"]),
)  # fmt: skip
def test_binary(seed, channels, pixels, activation, s, zeros, shape, operator):
    rng = np.random.default_rng(seed)
    full = (1, 1, pixels, channels)
    small = {"same": full, "one": (1, 1, 1, 1)}.get(shape, (1, 1, 1, channels))
    shapes = (small, full) if shape == "channels first" else (full, small)
    a, b = (int8(rng, one) for one in shapes)
    if operator in ("maximum", "minimum"):
        s, zeros, activation = (s[0],) * 3, (zeros[0],) * 3, Activation.NONE
    elif operator == "add":
        # TFLM refuses sums whose scale is 2^-19 of the inputs' and less.
        s = (s[0], s[1], max(s[2], max(s[:2]) * np.float32(1e-4)))
    s1, s2, s3 = (float(np.float32(one)) for one in s)
    options = {
        "add": schema.AddOptionsT, "mul": schema.MulOptionsT,
        "maximum": schema.MaximumMinimumOptionsT, "minimum": schema.MaximumMinimumOptionsT,
    }[operator]()  # fmt: skip
    if operator in ("add", "mul"):
        options.fusedActivationFunction = activation
    expected = single_op.run(
        getattr(Op, operator.upper()), options,
        [Tensor(a.shape, s[0], zeros[0]), Tensor(b.shape, s[1], zeros[1])],
        Tensor(full, s[2], zeros[2]), [a, b], version=2,
    )  # fmt: skip
    low, high = bounds(activation, s[2], zeros[2])
    params = k.Binary(
        count=pixels * channels, in1_count=a.size, in2_count=b.size, in1_zero_point=zeros[0],
        in2_zero_point=zeros[1], output_zero_point=zeros[2], clamp_min=low, clamp_max=high,
    )  # fmt: skip
    if operator == "add":
        twice = 2 * max(s1, s2)
        params.in1_multiplier, params.in1_shift = k.quantize_multiplier(s1 / twice)
        params.in2_multiplier, params.in2_shift = k.quantize_multiplier(s2 / twice)
        params.out_multiplier, params.out_shift = k.quantize_multiplier(twice / (2**20 * s3))
    else:
        params.out_multiplier, params.out_shift = k.quantize_multiplier(s1 * s2 / s3)
    for reference in (True, False):
        out = np.zeros_like(expected)
        if operator == "add":
            k.call("add_plain", reference, params, a, b, out)
        elif operator == "mul":
            k.call("mul_plain", reference, params, a, b, out)
            fast = k.mul_params(params)
            if fast:
                np.testing.assert_array_equal(out, expected)
                out = np.zeros_like(expected)
                k.call("mul", reference, fast, a, b, out)
        else:
            arrays = [c.c_void_p(array.ctypes.data) for array in (a, b, out)]
            function = getattr(k.library(reference), f"micronet_{operator}")
            function(out.size, a.size, b.size, *arrays)
        np.testing.assert_array_equal(out, expected)
    if operator != "add":
        return
    if s1 < s2:  # the fast form wants the larger scale first
        a, b = b, a
        params.in1_count, params.in2_count = a.size, b.size
        params.in1_zero_point, params.in2_zero_point = zeros[1], zeros[0]
        params.in2_multiplier, params.in2_shift = params.in1_multiplier, params.in1_shift
    prepared = k.add_params(params)
    if prepared:
        out = np.zeros_like(expected)
        k.call("add", False, prepared[0], a, b, out)
        np.testing.assert_array_equal(out, expected)


every_int8 = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)


@quick
@given(
    in_scale=st.floats(-29, 1).map(lambda power: np.float32(2.0**power)),
    in_zero=zero_points, out_zero=zero_points, ratio=st.floats(0.01, 8.0),
)  # fmt: skip
def test_lookup_of_hard_swish(in_scale, in_zero, ratio, out_zero):
    out_scale = max(np.float32(in_scale * ratio), np.float32(in_scale / 127))
    expected = single_op.run(
        Op.HARD_SWISH, schema.HardSwishOptionsT(), [Tensor((1, 256), in_scale, in_zero)],
        Tensor((1, 256), out_scale, out_zero), [every_int8],
    )  # fmt: skip
    table = fixed_point.hard_swish_table(in_scale, in_zero, out_scale, out_zero).astype(np.int8)
    out = np.zeros_like(expected)
    pointers = [c.c_void_p(a.ctypes.data) for a in (table, every_int8, out)]
    k.library(False).micronet_lookup(pointers[0], 256, *pointers[1:])
    np.testing.assert_array_equal(out, expected)


# TFLM aborts the process where the exponentials add up to 512 or more: hence at most 500 of them.
@quick
@given(
    seed=seeds, rows=st.integers(1, 3), depth=st.one_of(st.integers(1, 12), st.just(500)),
    scale=st.floats(1e-4, 4.0).map(np.float32), zero=zero_points,
    beta=st.floats(0.1, 2.0).map(np.float32),
)  # fmt: skip
def test_softmax(seed, rows, depth, scale, zero, beta):
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(0, rng.choice([5, 40, 200]), (rows, depth)), -128, 127).astype(np.int8)
    options = schema.SoftmaxOptionsT()
    options.beta = float(beta)
    expected = single_op.run(
        Op.SOFTMAX, options, [Tensor(x.shape, scale, zero)], Tensor(x.shape, 1 / 256, -128), [x],
        version=2,
    )  # fmt: skip
    real = min(float(beta) * float(scale) * 2.0**26, 2.0**31 - 1)
    multiplier, shift = k.quantize_multiplier(real)
    params = k.Softmax(rows, depth, multiplier, shift, -math.floor(31 * 2.0**26 / 2.0**shift))
    for reference in (True, False):
        out = np.zeros_like(expected)
        k.call("softmax", reference, params, x, out)
        np.testing.assert_array_equal(out, expected)


@quick
@given(seed=seeds, pixels=st.integers(1, 9), in_c=st.integers(1, 20), out_c=st.integers(1, 20))
def test_gather_channels(seed, pixels, in_c, out_c):
    rng = np.random.default_rng(seed)
    x, index = int8(rng, (1, 1, pixels, in_c)), rng.integers(0, in_c, out_c).astype(np.int32)
    options = schema.GatherOptionsT()
    options.axis = 3
    expected = single_op.run(
        Op.GATHER, options, [Tensor(x.shape, 0.1, 2), Tensor((out_c,), None, 0, index)],
        Tensor((1, 1, pixels, out_c), 0.1, 2), [x], version=2,
    )  # fmt: skip
    out, short = np.zeros_like(expected), index.astype(np.uint16)
    arrays = [c.c_void_p(array.ctypes.data) for array in (short, x, out)]
    k.library(False).micronet_gather_channels(pixels, in_c, out_c, *arrays)
    np.testing.assert_array_equal(out, expected)


@quick
@given(
    seed=seeds, size=sizes, channels=st.integers(1, 5), zero=zero_points,
    pads=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 3),
)  # fmt: skip
def test_pad(seed, size, channels, zero, pads):
    x = int8(np.random.default_rng(seed), (1, *size, channels))
    amounts = np.array([(0, 0), *pads], np.int32)
    shape = tuple(np.array(x.shape) + amounts.sum(1))
    expected = single_op.run(
        Op.PAD, schema.PadOptionsT(),
        [Tensor(x.shape, 0.1, zero), Tensor((4, 2), None, 0, amounts)],
        Tensor(shape, 0.1, zero), [x], version=2,
    )  # fmt: skip
    params = k.Pad(*size, channels, *(int(n) for pair in pads for n in pair), zero)
    out = np.zeros_like(expected)
    k.call("pad", False, params, x, out)
    np.testing.assert_array_equal(out, expected)


def test_double_rounding_is_one_smmlar():
    """The identity behind the channel record, where the two roundings could differ."""
    rng = np.random.default_rng(0)
    for _ in range(4000):
        shift = int(rng.integers(1, 23))
        multiplier = int(rng.choice([2**30, 2**31 - 1, rng.integers(2**30, 2**31)]))
        zero_point = int(rng.integers(-128, 128))
        # Accumulators whose exact result is next to a half step.
        step = (int(rng.integers(-130, 131)) + 0.5) * 2.0 ** (31 + shift) / multiplier
        acc = int(np.clip(round(step) + rng.integers(-2, 3), -(2**30) + 1, 2**30 - 1))
        offset = zero_point * 2**shift + 2 ** (shift - 1)
        ours = (((2 * acc * multiplier + 2**31) >> 32) + offset - (acc < 0)) >> shift
        expected = k.requantize(acc, multiplier, -shift, zero_point)
        assert min(127, max(-128, ours)) == expected
