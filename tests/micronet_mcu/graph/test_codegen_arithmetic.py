"""The compiler's integer arithmetic against TF Lite Micro and against the records' definition."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tflite_micro import runtime
from tiny_tflite import TinyModel

from micronet_mcu.graph import fixed_point, requantize
from micronet_mcu.graph.read import read_model
from micronet_mcu.graph.value import Value
from micronet_mcu.graph.weights import Weights

ALL = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
scales = st.floats(1e-4, 0.2).map(np.float32).map(float)
zero_points = st.integers(-128, 127)


@given(st.floats(2.0**-31, 2.0**29))
def test_quantize_multiplier(real):
    multiplier, shift = fixed_point.quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    assert multiplier / 2**31 * 2.0**shift == pytest.approx(real, rel=2**-30)


def test_quantize_multiplier_at_the_ends():
    assert fixed_point.quantize_multiplier(0.0) == (0, 0)
    assert fixed_point.quantize_multiplier(1e-12) == (0, 0)
    assert fixed_point.quantize_multiplier(1e12) == (2**31 - 1, 30)
    # Rounds up to 2^31, which is the next power of two.
    assert fixed_point.quantize_multiplier(1 - 2.0**-40) == (2**30, 1)


def unary_on_tflm(name, scale_in, zero_in, scale_out, zero_out):
    m = TinyModel()
    x = m.input((1, 256), scale_in, zero_in)
    raw = m.build(m.unary(name, x, scale_out, zero_out))
    read_model(raw)
    interpreter = runtime.Interpreter.from_bytes(raw, arena_size=1 << 16)
    interpreter.set_input(ALL, 0)
    interpreter.invoke()
    return interpreter.get_output(0)[0]


@settings(max_examples=200)
@example(1e-4, 0, 0.125, 0)
@example(1e-6 / 255, -3, 1e-6 / 255, 5)  # as of a network whose weights say nothing yet
@given(scales, zero_points, scales, zero_points)
def test_hard_swish_equals_tflm(scale_in, zero_in, scale_out, zero_out):
    try:
        table = fixed_point.hard_swish_table(scale_in, zero_in, scale_out, zero_out)
    except ValueError:
        # There TFLM ends the process, or its shifts overflow.
        assert not 1.01 * 2**-16 < scale_in / 128 / scale_out < 0.99
        return
    expected = unary_on_tflm("HARD_SWISH", scale_in, zero_in, scale_out, zero_out)
    np.testing.assert_array_equal(table, expected)


@settings(max_examples=200)
@given(
    st.lists(st.integers(-127, 127), min_size=1, max_size=40),
    st.integers(-(2**20), 2**20),
    st.floats(1e-6, 0.49),
    zero_points,
    zero_points,
    st.integers(0, 2**32 - 1),
)
def test_records_give_the_reference_rounding(weights, bias, real, zero_in, zero_out, seed):
    """(floor((acc * m + 2^31) / 2^32) + offset - (acc < 0)) >> shift of the doubled acc, as in the
    kernels."""
    weights = np.array(weights, np.int8).reshape(1, 1, 1, -1)
    x = Value("x", (1, 1, 1, weights.size), 1.0, zero_in)
    y = Value("y", (1, 1, 1, 1), 1.0, zero_out)
    layer = Weights(weights, np.array([real]), np.array([bias]), axis=0)
    channels = requantize.of_layer(layer, x, y, (-128, 127))
    assume(channels.records is not None)
    doubled_bias, multiplier, offset, shift = channels.records[0]
    taps = channels.weights.astype(np.int64).ravel()
    inputs = np.random.default_rng(seed).integers(-128, 128, (20, weights.size))
    inputs[0], inputs[1] = np.where(taps > 0, 127, -128), np.where(taps > 0, -128, 127)
    m, s = fixed_point.quantize_multiplier(real)
    for values in inputs:
        doubled_acc = doubled_bias + int((2 * taps * (values - zero_in)).sum())
        high = (doubled_acc * multiplier + 2**31) >> 32
        found = (high + offset - (doubled_acc < 0)) >> shift
        acc = bias + int((weights.ravel().astype(np.int64) * (values - zero_in)).sum())
        wanted = fixed_point.requantize(acc, m, s) + zero_out
        assert min(max(found, -128), 127) == min(max(wanted, -128), 127)


def test_requantize_rounds_halves_away_from_zero():
    half = 2**30, 0  # times 1/2
    assert [fixed_point.requantize(a, *half) for a in (-3, -2, -1, 0, 1, 2, 3)] == [
        -1, -1, 0, 0, 1, 1, 2,
    ]  # fmt: skip
    quarter = 2**30, -1
    assert [fixed_point.requantize(a, *quarter) for a in (-12, -8, -4, 4, 8, 12)] == [
        -3, -2, -1, 1, 2, 3,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("NONE", (-128, 127)), ("RELU", (-28, 127)), ("RELU6", (-28, 32)),
     ("RELU_N1_TO_1", (-38, -18)), ("TANH", None)],
)  # fmt: skip
def test_activation_bounds(activation, expected):
    assert fixed_point.activation_bounds(activation, 0.1, -28) == expected
