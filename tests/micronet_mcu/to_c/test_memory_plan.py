"""The planner of the arena: nothing alive is overwritten, and little is wasted."""

import itertools

import numpy as np
import plan_runner
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_micro import runtime
from tiny_tflite import TinyModel, small_micronet

from micronet_mcu.graph.read import read_model
from micronet_mcu.to_c import plan
from micronet_mcu.to_c.memory import ALIGNMENT, Buffer, lower_bound, plan_offsets


@st.composite
def buffer_lists(draw, most=24, steps=12, largest=40):
    spans = draw(
        st.lists(
            st.tuples(st.integers(0, steps), st.integers(0, 4), st.integers(1, largest)),
            min_size=1,
            max_size=most,
        )
    )
    return [
        Buffer(f"b{i}", size * ALIGNMENT, first, first + length)
        for i, (first, length, size) in enumerate(spans)
    ]


@st.composite
def chains(draw):
    """Buffers where some are made from the one before, row by row."""
    sizes = draw(st.lists(st.integers(1, 40), min_size=2, max_size=10))
    buffers = [Buffer(f"b{i}", s * ALIGNMENT, max(i - 1, 0), i) for i, s in enumerate(sizes)]
    lags = {
        (i, i - 1): draw(st.integers(1, 20)) * ALIGNMENT
        for i in range(1, len(buffers))
        if draw(st.booleans())
    }
    return buffers, lags


def check(plan):
    assert len(plan.offsets) == len(plan.buffers)
    assert plan.size >= plan.lower_bound
    assert all(offset >= 0 and offset % ALIGNMENT == 0 for offset in plan.offsets)
    for (i, a), (j, b) in itertools.combinations(enumerate(plan.buffers), 2):
        if not a.meets(b):
            continue
        start_a, start_b = plan.offsets[i], plan.offsets[j]
        apart = start_a + a.size <= start_b or start_b + b.size <= start_a
        if (i, j) in plan.lags:
            assert apart or start_b - start_a >= plan.lags[i, j]
        elif (j, i) in plan.lags:
            assert apart or start_a - start_b >= plan.lags[j, i]
        else:
            assert apart, (a, b)


@settings(max_examples=150)
@given(buffer_lists())
def test_what_lives_together_lies_apart(buffers):
    found = plan_offsets(buffers)
    check(found)
    assert found == plan_offsets(buffers)


@settings(max_examples=100)
@given(chains())
def test_lags_are_kept(chain):
    check(plan_offsets(*chain))


@settings(max_examples=40)
@given(buffer_lists(most=4, steps=4, largest=4))
def test_few_buffers_are_placed_optimally(buffers):
    """Against a search through all offsets."""

    def fits(offsets, size):
        return all(o + b.size <= size for o, b in zip(offsets, buffers, strict=True)) and all(
            not a.meets(b) or o + a.size <= p or p + b.size <= o
            for (o, a), (p, b) in itertools.combinations(zip(offsets, buffers, strict=True), 2)
        )

    best = plan_offsets(buffers).size
    places = range(0, best, ALIGNMENT)
    smaller = best - ALIGNMENT
    assert not any(fits(o, smaller) for o in itertools.product(places, repeat=len(buffers)))


def test_output_grows_into_its_input():
    buffers = [Buffer("image", 800, 0, 0), Buffer("map", 400, 0, 1)]
    assert plan_offsets(buffers).size == 1200
    found = plan_offsets(buffers, {(1, 0): 16})
    assert found.size == found.lower_bound == 816
    assert found.optimal
    assert found.in_use(0) == 816 and found.in_use(1) == 400


def test_nothing_to_place():
    assert plan_offsets([]).size == 0
    assert lower_bound([], {}) == 0


def test_in_place_and_reuse():
    m = TinyModel()
    x = m.input((1, 8, 8, 4))
    y = m.conv(x, 4)
    z = m.unary("HARD_SWISH", y)
    program = plan(read_model(m.build(m.conv(z, 4))))
    first, swish, last = program.steps
    place = program.arena.offset
    assert place(swish.output) == place(first.output)
    assert place(last.output) != place(swish.output)
    # Input, map and scratch; the last output takes the input's place.
    assert program.arena.plan.size == 256 + 256 + program.arena.plan.buffers[-1].size


def test_a_value_that_is_read_again_is_not_written_over():
    m = TinyModel()
    x = m.input((1, 4, 4, 8))
    y = m.conv(x, 8)
    z = m.unary("HARD_SWISH", y)
    program = plan(read_model(m.build(m.binary("ADD", y, z))))
    conv, swish, _ = program.steps
    assert program.arena.offset(swish.output) != program.arena.offset(conv.output)


def test_the_first_layer_writes_into_the_image():
    """The stem's output may lie over image rows that are used up; see micronet_kernels.h."""
    program = plan(read_model(small_micronet(size=32)))
    image, stem = program.inputs[0].value, program.steps[0].output
    lag = program.arena.offset(image) - program.arena.offset(stem)
    assert program.steps[0].call.kernel.name == "micronet_conv2d_column_rgb"
    assert program.arena.plan.in_use(0) < image.size + stem.size
    row_in, row_out = 32 * 3, 32 * 2
    for y in range(16):
        assert (y + 1) * row_out <= lag + max(0, 2 * y - 1) * row_in


def mobile_blocks(m):
    x = m.input((1, 24, 24, 4))
    y = m.conv(x, 24, activation="RELU6")
    y = m.depthwise(y, (3, 3), (2, 2), activation="RELU6")
    y = m.depthwise(m.conv(y, 24), (3, 3))
    return m.conv(y, 4)


def test_convolutions_in_bands_write_over_what_they_have_read():
    """And compute what they do without; with scales that are none of a record's, too."""
    for widest in (1, 1 << 12):
        m = TinyModel(5)
        y = mobile_blocks(m)
        for operator in m.operators[1:4:2]:  # the depthwise ones
            m.tensors[operator.inputs[1]].quantization.scale[::5] *= widest
        raw = m.build(y)
        program = plan(read_model(raw))
        banded = [step for step in program.steps if "bands" in step.call.kernel.name or step.lag]
        assert banded
        assert program.arena.plan.size < 24 * 24 * (24 + 4)
        image = np.random.default_rng(3).integers(-128, 128, (1, 24, 24, 4)).astype(np.int8)
        (found,) = plan_runner.run(raw, [image])
        interpreter = runtime.Interpreter.from_bytes(raw, arena_size=1 << 20)
        interpreter.set_input(image, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(found, interpreter.get_output(0))


def dy_shift_max_steps(program):
    return [step for step in program.steps if step.call.kernel.name == "micronet_dyshiftmax"]


def test_dy_shift_max_gets_the_memory_that_is_free():
    """Out of place it is faster; but the arena must not grow for it."""
    m = TinyModel()
    x = m.input((1, 16, 16, 8))
    program = plan(read_model(m.build(m.dy_shift_max(x, 2))))
    (step,) = dy_shift_max_steps(program)
    assert step.in_place and 8 <= step.scratch_bytes < 16 * 16 * 8
    assert program.arena.offset(step.output) == program.arena.offset(program.inputs[0].value)
    assert program.arena.plan.size < 2 * 16 * 16 * 8

    m = TinyModel()
    x = m.input((1, 16, 16, 8))
    y = m.conv(m.conv(x, 8), 8)
    program = plan(read_model(m.build(m.dy_shift_max(m.pool(y, (2, 2)), 2))))
    (step,) = dy_shift_max_steps(program)
    assert not step.in_place and step.scratch_bytes == 0
    assert program.arena.offset(step.output) != program.arena.offset(step.inputs[0])
    assert program.arena.plan.optimal
