"""Operators on any shapes, scales and zero points: the planned kernels against TF Lite Micro."""

import math

import numpy as np
import plan_runner
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema
from tiny_tflite import TinyModel

from micronet_mcu.errors import UserError
from micronet_mcu.graph import passes
from micronet_mcu.graph.read import graph_of, read_model
from micronet_mcu.graph.verify import verify
from micronet_mcu.to_c import compile_model, host, plan

quick = settings(max_examples=60)
# As networks have them and as they should not; round ones, whose ratios come close to halves.
scales = (
    st.one_of(
        st.floats(0.002, 0.2),
        st.floats(1e-5, 50.0),
        st.integers(1, 999).map(lambda n: n / 1000),
        st.integers(-10, 3).map(lambda n: 2.0**n),
    )
    .map(np.float32)
    .map(float)
)
zero_points = st.integers(-128, 127)
seeds = st.integers(0, 2**32 - 1)
EVERY = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)


@st.composite
def shapes(draw, least=1, most=4, largest=5):
    """Sizes with batch 1."""
    return (1, *draw(st.lists(st.integers(1, largest), min_size=least - 1, max_size=most - 1)))


def tflm(flatbuffer, inputs):
    interpreter = runtime.Interpreter.from_bytes(flatbuffer, arena_size=1 << 20)
    for i, values in enumerate(inputs):
        interpreter.set_input(values, i)
    interpreter.invoke()
    return [interpreter.get_output(i).copy() for i in range(len(read_model(flatbuffer).outputs))]


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def check(m, *outputs, inputs=None, seed=0):
    """The model's graph is sound after every pass, and what it computes is TFLM's."""
    raw = m.build(*outputs)
    graph = verify(graph_of(read_model(raw)))
    for one in passes.EXACT:
        graph = verify(one(graph))
    inputs = inputs or [noise(m.shape(x), seed + i) for i, x in enumerate(m.inputs)]
    found, expected = plan_runner.run(raw, inputs), tflm(raw, inputs)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_array_equal(a, b)
    return raw


# ---- tables ----


@pytest.mark.slow
@quick
@given(st.floats(-27, 2.999).map(lambda power: float(np.float32(2.0**power))), zero_points)
def test_logistic_and_tanh(scale, zero):
    m = TinyModel()
    x = m.input((1, 256), scale, zero)
    outputs = m.unary("LOGISTIC", x, 1 / 256, -128), m.unary("TANH", x, 1 / 128, 0)
    check(m, *outputs, inputs=[EVERY])


@pytest.mark.slow
@quick
@given(scales, zero_points, st.floats(0.02, 30.0), zero_points, st.floats(-3, 3))
# In single precision the slope would be 37.5, and 3 times that a half.
@example(0.125, 0, 0.02, 0, 0.75)
def test_leaky_relu(scale, zero, ratio, zero_out, alpha):
    m = TinyModel()
    x = m.input((1, 256), scale, zero)
    y = m.made("LEAKY_RELU", [x], (1, 256), scale * ratio, zero_out, alpha=float(np.float32(alpha)))
    check(m, y, inputs=[EVERY])


# ---- transposed convolutions ----


@settings(max_examples=100)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)), st.integers(1, 3),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["SAME", "VALID"]), st.booleans(), zero_points, zero_points, seeds,
)  # fmt: skip
def test_transposed_convolution(size, filters, taps, stride, padding, biased, zero, zero_out, seed):
    m = TinyModel(seed)
    x = m.input((1, *size), 0.02, zero)
    weights, scales = m._filter((filters, *taps, size[2]), 0)
    more = [m._bias(x, scales, filters)] if biased else []
    out = [
        n * step + (max(k - step, 0) if padding == "VALID" else 0)
        for n, k, step in zip(size, taps, stride, strict=False)
    ]
    shape = (1, *out, filters)
    y = m.made(
        "TRANSPOSE_CONV", [m.integers(*shape), weights, x, *more], shape, 0.1, zero_out,
        padding=getattr(schema.Padding, padding), strideH=stride[0], strideW=stride[1],
    )  # fmt: skip
    check(m, y, seed=seed % 1000)


# ---- two operands ----


@st.composite
def pairs_of_shapes(draw):
    """Two shapes that broadcast, each with axes of size 1 where the other is wider."""
    whole = draw(shapes(1, 4))
    both = []
    for _ in range(2):
        one = tuple(1 if draw(st.integers(0, 2)) == 0 else n for n in whole)
        both.append(one[draw(st.integers(0, len(one) - 1)) :] if draw(st.booleans()) else one)
    return both


@pytest.mark.slow
@quick
@given(
    st.sampled_from(["ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM"]), pairs_of_shapes(),
    st.tuples(scales, scales, scales), st.tuples(zero_points, zero_points, zero_points), seeds,
    st.booleans(), st.booleans(),
)  # fmt: skip
# The second operand comes to halves here, which round the other way with the sign.
@example("SUB", [(1,), (1,)], (0.04591353237628937, 0.125, 3.0), (0, 0, 0), 0, False, True)
def test_two_operands_of_any_shapes(name, both, s, zeros, seed, constant, swap):
    out = np.broadcast_shapes(*both)
    assume(len(out) <= 4 and out[0] == 1)
    if name in ("MINIMUM", "MAXIMUM"):
        s, zeros = (s[0],) * 3, (zeros[0],) * 3
    elif name != "MUL":
        # TFLM refuses sums whose scale is 2^-19 of the inputs' and less.
        s = (s[0], s[1], max(s[2], max(s[:2]) * 1e-4))
    m = TinyModel()
    whole = [one if one[0] == 1 else (1, *one) for one in both]
    a = m.input(whole[0], s[0], zeros[0])
    data = noise(both[1], seed) if constant else None
    b = (
        m.tensor(both[1], s[1], zeros[1], data=data)
        if constant
        else m.input(whole[1], s[1], zeros[1])
    )
    out = np.broadcast_shapes(m.shape(a), m.shape(b))
    assume(len(out) <= 4)
    y = m.made(name, [b, a] if swap else [a, b], out, s[2], zeros[2])
    check(m, y, seed=seed % 1000)


@quick
@given(st.tuples(scales, scales, scales), st.tuples(zero_points, zero_points, zero_points), seeds)
# 118.49999: in single precision the ratio of the scales would be 39.5, and 3 times that a half.
@example((0.07900000363588333, 0.125, float(np.float32(0.002))), (0, 0, 0), 1)
def test_prelu(s, zeros, seed):
    m = TinyModel()
    x = m.input((1, 3, 4, 5), s[0], zeros[0])
    alpha = m.tensor((1, 1, 5), s[1], zeros[1], data=noise((1, 1, 5), seed))
    check(m, m.made("PRELU", [x, alpha], (1, 3, 4, 5), s[2], zeros[2]), seed=seed % 1000)


# ---- moves ----


@quick
@given(shapes(1, 5), st.randoms())
def test_transpose(shape, random):
    order = list(range(len(shape)))
    random.shuffle(order)
    m = TinyModel()
    x = m.input(shape)
    check(m, m.made("TRANSPOSE", [x, m.integers(*order)], tuple(shape[i] for i in order)))


@quick
@given(st.data(), shapes(1, 4))
def test_concatenation(data, shape):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    widths = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    m = TinyModel()
    parts = []
    for width in widths:
        one = list(shape)
        one[axis] = width
        parts.append(m.unary("RELU", m.input(one) if one[0] == 1 else _batched(m, one)))
    out = list(shape)
    out[axis] = sum(widths)
    scale, zero = m.scale(parts[0]), m.zero_point(parts[0])
    check(m, m.made("CONCATENATION", parts, tuple(out), scale, zero, axis=axis))


def _batched(m, shape):
    """A value of another batch, which no input may have."""
    flat = m.input((1, math.prod(shape)))
    return m.reshape(flat, tuple(shape))


@quick
@given(st.data(), shapes(1, 3), st.integers(1, 4))
def test_pack_and_unpack(data, shape, count):
    axis = data.draw(st.integers(0, len(shape)))
    m = TinyModel()
    parts = [m.input(shape) for _ in range(count)]
    packed = m.made("PACK", parts, shape[:axis] + (count,) + shape[axis:], axis=axis,
                    valuesCount=count)  # fmt: skip
    parts = m.made("UNPACK", [packed], [shape] * count, axis=axis, num=count)
    check(m, packed, *parts)


@quick
@given(st.data(), shapes(1, 4), st.integers(1, 3))
def test_split(data, shape, count):
    axis = data.draw(st.integers(0, len(shape) - 1))
    whole = list(shape)
    whole[axis] *= count
    m = TinyModel()
    x = m.input(whole) if whole[0] == 1 else _batched(m, whole)
    axis -= len(shape) if data.draw(st.booleans()) else 0
    parts = m.made("SPLIT", [m.integers(axis, shape=()), x], [tuple(shape)] * count,
                   numSplits=count)  # fmt: skip
    check(m, *(m.unary("RELU", part) for part in parts))


@quick
@given(st.data(), shapes(1, 4))
def test_split_v(data, shape):
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    shape = list(shape)
    shape[axis] = sum(sizes)
    m = TinyModel()
    x = m.input(shape) if shape[0] == 1 else _batched(m, shape)
    wanted = [tuple(shape[:axis] + [n] + shape[axis + 1 :]) for n in sizes]
    parts = m.made("SPLIT_V", [x, m.integers(*sizes), m.integers(axis, shape=())], wanted,
                   numSplits=len(sizes))  # fmt: skip
    check(m, *(m.unary("RELU", part) for part in parts))


@quick
@given(st.data(), shapes(1, 4, largest=7))
def test_strided_slice(data, shape):
    begin, end, stride, sizes = [], [], [], []
    shrink = 0
    for axis, n in enumerate(shape):
        low = data.draw(st.integers(0, n - 1))
        if data.draw(st.integers(0, 3)) == 0:
            shrink |= 1 << axis
            begin.append(low - (n if data.draw(st.booleans()) else 0))
            end.append(low + 1)
            stride.append(1)
            continue
        step = data.draw(st.sampled_from([1, 1, 2, -1]))
        high = data.draw(st.integers(low + 1, n))
        size = -(-(high - low) // abs(step))
        if step < 0:
            begin.append(high - 1)
            end.append(low - 1 if low else -n - 1)
        else:
            begin.append(low - (n if data.draw(st.booleans()) else 0))
            end.append(high)
        stride.append(step)
        sizes.append(size)
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": shrink}
    m = TinyModel()
    x = m.input(shape)
    y = m.made("STRIDED_SLICE", [x, *(m.integers(*v) for v in (begin, end, stride))],
               tuple(sizes), **masks)  # fmt: skip
    check(m, y)


@quick
@given(st.data(), shapes(1, 4, largest=6))
def test_slice(data, shape):
    begin = [data.draw(st.integers(0, n - 1)) for n in shape]
    size = [data.draw(st.integers(1, n - b)) for n, b in zip(shape, begin, strict=True)]
    m = TinyModel()
    x = m.input(shape)
    check(m, m.made("SLICE", [x, m.integers(*begin), m.integers(*size)], tuple(size)))


def test_slices_to_the_end():
    m = TinyModel()
    x = m.input((1, 5, 6))
    y = m.made("SLICE", [x, m.integers(0, 2, 1), m.integers(-1, 2, -1)], (1, 2, 5))
    z = m.made("STRIDED_SLICE", [y, *(m.integers(*v) for v in ((0, 1, 0), (0, 0, -1), (1, 1, 2)))],
               (1, 1, 2), beginMask=5, endMask=3)  # fmt: skip
    check(m, y, z)


@quick
@given(st.data(), shapes(1, 4, largest=4))
def test_tile_and_broadcast(data, shape):
    # TFLM has no TILE: it is numpy's.
    times = [1] + [data.draw(st.integers(1, 3)) for _ in shape[1:]]
    m = TinyModel()
    x = m.input(shape)
    wide = tuple(n * t for n, t in zip(shape, times, strict=True))
    raw = m.build(m.made("TILE", [x, m.integers(*times)], wide))
    values = noise(shape)
    np.testing.assert_array_equal(plan_runner.run(raw, [values])[0], np.tile(values, times))
    full = tuple(t if n == 1 else n for n, t in zip(shape, times, strict=True))
    m = TinyModel()
    check(m, m.made("BROADCAST_TO", [m.input(shape), m.integers(*full)], full))


@quick
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_space_to_depth_and_back(height, width, depth, block):
    m = TinyModel()
    x = m.input((1, height * block, width * block, depth))
    y = m.made("SPACE_TO_DEPTH", [x], (1, height, width, depth * block**2), blockSize=block)
    z = m.input((1, height, width, depth * block**2))
    check(m, y, m.made("DEPTH_TO_SPACE", [z], m.shape(x), blockSize=block))


@quick
@given(
    st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 24)] * 2), st.booleans(),
    st.sampled_from([{}, {"alignCorners": True}, {"halfPixelCenters": True}]),
)  # fmt: skip
def test_resize_nearest_neighbor(before, after, double, kind):
    if double:
        after = tuple(2 * n for n in before)
    m = TinyModel()
    x = m.input((1, *before, 3))
    check(m, m.made("RESIZE_NEAREST_NEIGHBOR", [x, m.integers(*after)], (1, *after, 3), **kind))


@quick
@given(st.data(), shapes(1, 4))
def test_gather(data, shape):
    axis = data.draw(st.integers(0, len(shape) - 1))
    entry = st.integers(0, shape[axis] - 1)
    index = data.draw(st.lists(entry, min_size=1, max_size=6))
    m = TinyModel()
    x = m.input(shape)
    out = shape[:axis] + (len(index),) + shape[axis + 1 :]
    check(m, m.made("GATHER", [x, m.integers(*index)], out, axis=axis))


# ---- others ----


@quick
@given(st.data(), shapes(2, 4, largest=6), scales, zero_points, st.floats(0.1, 4.0), zero_points,
       st.booleans())  # fmt: skip
def test_mean_over_any_axes(data, shape, scale, zero, ratio, zero_out, keep):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    assume(keep or len(axes) < len(shape))
    m = TinyModel()
    x = m.input(shape, scale, zero)
    check(m, m.mean(x, sorted(axes), scale * ratio, zero_out, keep))


@quick
@given(st.data(), shapes(1, 4), zero_points)
def test_pad_of_fewer_axes_and_with_a_number(data, shape, value):
    pads = [(0, 0), *((data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2)))
                      for _ in shape[1:])]  # fmt: skip
    m = TinyModel()
    x = m.input(shape)
    out = tuple(n + a + b for n, (a, b) in zip(shape, pads, strict=True))
    amounts = m.tensor((len(shape), 2), dtype=np.int32, data=np.array(pads))
    number = m.tensor((1,), m.scale(x), m.zero_point(x), data=np.int8([value]))
    check(m, m.made("PAD", [x, amounts], out), m.made("PADV2", [x, amounts, number], out))


@quick
@given(
    st.sampled_from(["conv", "depthwise", "pool", "active pool"]),
    st.tuples(st.integers(3, 7), st.integers(3, 7), st.integers(1, 5)),
    st.tuples(*[st.integers(0, 3)] * 4), st.integers(1, 3), st.integers(1, 2),
    st.sampled_from(["SAME", "VALID"]), st.booleans(), seeds,
)  # fmt: skip
def test_pads_go_into_the_windows_behind_them(
    kind, size, sides, taps, stride, padding, twice, seed
):
    m = TinyModel(seed)
    x = m.input((1, *size))
    if kind == "active pool":  # whose smallest value is zero
        x = m.conv(x, size[2], activation="RELU")
    top, bottom, left, right = sides
    out = (1, size[0] + top + bottom, size[1] + left + right, size[2])
    y = m.made("PAD", [x, m.integers(0, 0, top, bottom, left, right, 0, 0, shape=(4, 2))], out)
    how = {"kernel": (taps, taps), "stride": (stride, stride), "padding": padding}
    if kind == "conv":
        outputs = [m.conv(y, 3, **how) for _ in range(1 + twice)]
    elif kind == "depthwise":
        outputs = [m.depthwise(y, **how) for _ in range(1 + twice)]
    else:
        outputs = [m.pool(y, kind="MAX_POOL_2D", **how)]
    raw = check(m, *outputs, seed=seed % 1000)
    inside = max(sides) < taps and padding == "VALID"
    if inside and kind != "pool" and max(bottom, right) <= max(taps - stride, 0):
        kinds = [node.kind for node in passes.run(graph_of(read_model(raw)), passes.EXACT).nodes]
        assert "PAD" not in kinds


def test_what_only_computes_shapes_is_left_out():
    """As Keras' Reshape and Flatten become: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    m = TinyModel()
    x = m.input((1, 4, 6))
    sizes = m.operator("SHAPE", [x], m.tensor((3,), dtype=np.int32))
    cut = [m.integers(n) for n in (0, 1, 1)]
    first = m.tensor((), dtype=np.int32)
    table = schema.StridedSliceOptionsT()
    table.shrinkAxisMask = 1
    m.operator("STRIDED_SLICE", [sizes, *cut], first, table)
    pack = schema.PackOptionsT()
    pack.valuesCount = 2
    shape = m.operator("PACK", [first, m.integers(24, shape=())], m.tensor((2,), dtype=np.int32),
                       pack)  # fmt: skip
    y = m.operator("RESHAPE", [x, shape], m.tensor((1, 24), m.scale(x), m.zero_point(x)))
    raw = m.build(m.dense(y, 3))
    kernels = [step.call.kernel.name for step in plan(read_model(raw)).steps]
    assert kernels == ["micronet_fully_connected"]


@pytest.mark.slow
def test_parts_in_one_piece_are_not_copied(tmp_path):
    m = TinyModel()
    x = m.unary("TANH", m.input((1, 4, 6)), 1 / 128, 0)
    parts = m.made("UNPACK", [x], [(1, 6)] * 4, axis=1, num=4)
    y = m.binary("ADD", m.dense(parts[2], 5), m.dense(parts[1], 5))
    raw = check(m, y, parts[3])
    compiled = compile_model(raw, tmp_path / "c")
    assert [step.call.kernel.name for step in compiled.program.steps] == [
        "micronet_lookup", "micronet_fully_connected", "micronet_fully_connected", "micronet_add",
    ]  # fmt: skip
    inputs = noise((3, 24))
    found = host.run(compiled.folder, "model", compiled.program, inputs)
    for image, answer in zip(inputs, found, strict=True):
        expected = tflm(raw, [image.reshape(1, 4, 6)])
        np.testing.assert_array_equal(answer, np.concatenate([e.ravel() for e in expected]))


@pytest.mark.slow
def test_constants_may_be_inputs_of_any_operator(tmp_path):
    m = TinyModel()
    x = m.input((1, 4))
    value = m.tensor((), 0.02, -3, data=np.int8(7))
    state = m.tensor((1, 6), 0.02, -3)
    m.operator("FILL", [m.integers(1, 6), value], state)
    y = m.binary("ADD", m.dense(x, 5, scale=0.02), m.dense(state, 5, scale=0.02))
    raw = check(m, m.made("CONCATENATION", [y, m.tensor((1, 3), m.scale(y), m.zero_point(y),
                          data=np.int8([1, 2, 3]))], (1, 8), axis=1))  # fmt: skip
    compiled = compile_model(raw, tmp_path / "c")
    flags = ("-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=address,undefined")
    inputs = noise((2, 4))
    found = host.run(compiled.folder, "model", compiled.program, inputs, flags)
    np.testing.assert_array_equal(found, [tflm(raw, [i[None]])[0][0] for i in inputs])


@pytest.mark.parametrize(
    ("name", "inputs", "shape", "options", "message"),
    [
        ("TRANSPOSE", [(0, 0, 1)], (1, 2, 3), {}, "make no sense"),
        ("TILE", [(1, 2, 2)], (1, 2, 3), {}, "should give 24 values"),
        ("SLICE", [(0, 1, 0), (1, 9, 3)], (1, 2, 3), {}, "should give 3 values"),
        ("SPACE_TO_DEPTH", [], (1, 2, 3), {"blockSize": 0}, "make no sense"),
        ("UNPACK", [], [(1, 3)] * 3, {"axis": 1, "num": 3}, "3 outputs of .* do not fit together"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(name, inputs, shape, options, message):
    m = TinyModel()
    x = m.input((1, 2, 3))
    y = m.made(name, [x, *(m.integers(*values) for values in inputs)], shape, **options)
    raw = m.build(*(y if isinstance(y, list) else [y]))
    with pytest.raises(UserError, match=message):
        plan(read_model(raw))
