"""The fused flatbuffers, on the real TFLM interpreter with the C kernels as custom operators."""

import struct
from collections import Counter

import numpy as np
import pytest
import tiny_tflite
import wheel_ops

from micronet_mcu.errors import UserError
from micronet_mcu.graph.kernels import CUSTOM_OPS
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_c import compile_model, host
from micronet_mcu.to_tflm import Interpreter, measure_fused_arena
from micronet_mcu.to_tflm.fused_ops import CUSTOM_NAME, fuse
from micronet_mcu.to_tflm.run_fused import run_fused


@pytest.fixture(scope="module")
def model():
    return tiny_tflite.small_micronet(seed=3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(-128, 128, (4, 16, 16, 3), np.int8)


def names(model):
    return Counter(o.custom_name or o.name for o in read_model(model).operators)


def test_every_dy_shift_max_becomes_one_operator_and_shuffles_behind_it_vanish(model):
    before, after = names(model), names(fuse(model, layers="none"))
    assert after[CUSTOM_NAME] == 3
    assert after["MUL"] == after["MAXIMUM"] == 0
    assert after["ADD"] == 1 == before["ADD"] - 5
    assert after["GATHER"] == 1 == before["GATHER"] - 5
    unchanged = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D")
    assert all(before[name] == after[name] for name in unchanged)


def test_dense_layers_of_coefficients_become_operators_too(model):
    before, after = names(model), names(fuse(model))
    assert after["MicroNetFullyConnected"] + after["FULLY_CONNECTED"] == before["FULLY_CONNECTED"]
    # The classifier's stay.
    assert after["FULLY_CONNECTED"] == 2
    assert all(after[name] == before[name] for name in ("CONV_2D", "DEPTHWISE_CONV_2D"))
    with pytest.raises(ValueError, match="Received: 'some'"):
        fuse(model, layers="some")


def test_layers_become_operators_of_the_kernels(model):
    after = names(fuse(model, layers="all"))
    assert not {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"} & set(after)
    assert sum(after[name] for name in CUSTOM_OPS if name != CUSTOM_NAME) == sum(
        names(model)[name] for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    )


@pytest.mark.slow
def test_fused_models_run_on_tflm_as_compiled_code_does(model, images, tmp_path):
    made = compile_model(model, tmp_path / "c")
    compiled = host.run(made.folder, made.name, made.program, images.reshape(len(images), -1))
    fused = wheel_ops.run(fuse(model), images)
    np.testing.assert_array_equal(fused, compiled)
    np.testing.assert_array_equal(wheel_ops.run(fuse(model, layers="all"), images), fused)
    np.testing.assert_array_equal(run_fused(fuse(model, layers="none"), images[:1])[0], fused[:1])


@pytest.mark.slow
def test_all_outputs_of_a_fused_model_without_the_kernel(images):
    """One branch without a shuffle behind it, two with one; an output between them."""
    tiny = tiny_tflite.TinyModel(2)
    y = tiny.conv(tiny.input((1, 16, 16, 3)), 8)
    first = tiny.dy_shift_max(y, 2, branches=1)
    second = tiny.dy_shift_max(tiny.conv(first, 8), 4, branches=2)
    model = tiny.build(tiny.dense(tiny.pool(second), 3), first)
    plain = Interpreter(model).invoke_all(images[:1])
    outputs = run_fused(fuse(model, layers="none"), images[:1])
    assert names(fuse(model))[CUSTOM_NAME] == 2
    assert [y.shape for y in outputs] == [(1, 3), (1, 16, 16, 8)]
    for fused, unfused in zip(outputs, plain, strict=True):
        # Fused it is rounded once, operator by operator five times.
        assert np.abs(fused.astype(int) - unfused).max() <= 4
    np.testing.assert_array_equal(outputs[0], wheel_ops.run(fuse(model), images[:1]))
    with pytest.raises(ValueError, match=r"Received: \['MicroNetFullyConnected'\]"):
        run_fused(fuse(model), images[:1])


def test_layers_alone_change_no_bit(images):
    tiny = tiny_tflite.TinyModel(5)
    x = tiny.input((1, 16, 16, 3))
    y = tiny.conv(x, 4, (4, 1), (2, 1), zero_taps=np.s_[:, 3])
    y = tiny.depthwise(y, (1, 3), (1, 2), 2, activation="RELU6")
    y = tiny.conv(y, 24, groups=4, activation="RELU")
    y = tiny.conv(y, 10, (3, 3))
    y = tiny.dense(tiny.reshape(tiny.pool(y), (1, 10)), 7)
    model = tiny.build(y)
    fused = fuse(model, layers="all")
    assert len([o for o in read_model(fused).operators if o.custom_name]) == 5
    interpreter = Interpreter(model)
    expected = np.concatenate([interpreter.invoke(image[None]) for image in images])
    np.testing.assert_array_equal(wheel_ops.run(fused, images), expected)


def test_options_hold_what_the_kernel_takes(model):
    operator = next(o for o in read_model(fuse(model)).operators if o.custom_name == CUSTOM_NAME)
    parsed = read_model(fuse(model))
    channels = parsed.tensors[operator.inputs[0]].shape[3]
    pixels, count, branches, *zeros = struct.unpack_from("<ihhhh", operator.custom_options)
    x, y = (parsed.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
    assert (pixels * count, count, branches) == (x.size, channels, 2)
    assert zeros == [int(x.zero_point[0]), int(y.zero_point[0])]
    assert len(operator.inputs) == 1 + 2 * branches
    assert len(operator.custom_options) == 44 + 4 * channels
    zero_points = struct.unpack_from("<8i", operator.custom_options, 12)[1::2]
    assert zero_points == tuple(int(parsed.tensors[i].zero_point[0]) for i in operator.inputs[1:])
    tables = np.frombuffer(operator.custom_options[44:], "<u2").reshape(2, channels)
    assert all(sorted(table) == list(range(channels)) for table in tables)


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 2), (6, 3), (4, 15), (44, 255)],
    ids=["pixels", "branches", "channels", "index"],
)
def test_tflm_refuses_damaged_options(model, images, place, value):
    operator = next(o for o in read_model(fuse(model)).operators if o.custom_name == CUSTOM_NAME)
    damaged = bytearray(fuse(model))
    damaged[damaged.index(operator.custom_options) + place] = value
    with pytest.raises(RuntimeError):
        wheel_ops.run(bytes(damaged), images)


def test_an_output_inside_a_pattern_keeps_it_apart():
    tiny = tiny_tflite.TinyModel(1)
    x = tiny.input((1, 4, 4, 8))
    y = tiny.dy_shift_max(x, 2, branches=2)
    inner = tiny.operators[-1].inputs[0]  # the first branch's sum
    assert names(fuse(tiny.build(y)))[CUSTOM_NAME] == 1
    assert names(fuse(tiny.build(y, inner)))["MAXIMUM"] == 1


def test_a_model_without_the_pattern_keeps_its_operators():
    tiny = tiny_tflite.TinyModel(1)
    model = tiny.build(tiny.dense(tiny.pool(tiny.input((1, 4, 4, 8))), 3))
    assert names(fuse(model)) == names(model)


@pytest.mark.slow
def test_the_arena_is_measured_with_the_custom_operators(model, images):
    """The stand-ins cost a little, and the size is enough for the real operators."""
    unfused, fused = measure_fused_arena(model), measure_fused_arena(fuse(model, layers="all"))
    assert fused < unfused
    wheel_ops.run(fuse(model, layers="all"), images, fused)


def test_the_plain_interpreter_says_that_it_cannot(model):
    with pytest.raises(UserError, match="MicroNetDYShiftMax.*without `fuse`"):
        Interpreter(fuse(model))


def test_what_is_no_model_is_refused():
    with pytest.raises(UserError, match="not a usable"):
        fuse(b"no model" * 4)
