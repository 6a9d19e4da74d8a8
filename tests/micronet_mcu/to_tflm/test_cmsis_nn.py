"""Layers in the forms that CMSIS-NN likes: the same bits on the real interpreter."""

from collections import Counter

import numpy as np
import pytest
import tiny_tflite
import wheel_ops
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_tflm.cmsis_nn import tune_for_cmsis_nn
from micronet_mcu.to_tflm.fused_ops import fuse


def counts(model):
    return Counter(operator.name for operator in read_model(model).operators)


def same_bits(model, shape, seed=0) -> Counter:
    """Checks the results of the tuned model; returns its operators."""
    tuned = tune_for_cmsis_nn(model)
    images = np.random.default_rng(seed).integers(-128, 128, (3, *shape[1:]), np.int8)
    np.testing.assert_array_equal(wheel_ops.run(tuned, images), wheel_ops.run(model, images))
    before, after = read_model(model), read_model(tuned)
    for old, new in zip(
        (*before.inputs, *before.outputs), (*after.inputs, *after.outputs), strict=True
    ):
        assert before.tensors[old].shape == after.tensors[new].shape
    return counts(tuned)


@pytest.mark.slow
@settings(max_examples=40, derandomize=True)
@given(
    kernel=st.sampled_from([(1, 1), (1, 2), (1, 3), (1, 4), (1, 6), (4, 1), (3, 3)]),
    stride=st.sampled_from([1, 2, 3]),
    width=st.integers(6, 24),
    channels=st.integers(1, 4),
    multiplier=st.integers(1, 3),
    activation=st.sampled_from(["NONE", "RELU6"]),
    seed=st.integers(0, 99),
)
def test_depthwise_convolutions(kernel, stride, width, channels, multiplier, activation, seed):
    tiny = tiny_tflite.TinyModel(seed)
    shape = (1, 5, width, channels)
    strides = (1, stride) if kernel[0] == 1 else (stride, 1)
    y = tiny.depthwise(tiny.input(shape), kernel, strides, multiplier, activation=activation)
    after = same_bits(tiny.build(y), shape, seed)
    if multiplier == 1:
        assert after["DEPTHWISE_CONV_2D"] == 1


def test_few_channels_are_joined_and_many_are_left_alone():
    tiny = tiny_tflite.TinyModel(0)
    y = tiny.depthwise(tiny.input((1, 4, 24, 2)), (1, 4), (1, 2), 2)
    assert same_bits(tiny.build(y), (1, 4, 24, 2)) == {"RESHAPE": 2, "CONV_2D": 1}
    tiny = tiny_tflite.TinyModel(0)
    y = tiny.depthwise(tiny.input((1, 4, 4, 40)), (1, 4), (1, 2), 2)
    assert same_bits(tiny.build(y), (1, 4, 4, 40)) == {"DEPTHWISE_CONV_2D": 1}


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(("channels", "outputs", "tuned"), [(16, 8, True), (64, 128, False)])
def test_grouped_convolutions(shuffled, channels, outputs, tuned):
    tiny = tiny_tflite.TinyModel(1)
    shape = (1, 4, 4, channels)
    x = tiny.input(shape)
    if shuffled:
        x = tiny.gather(x, np.random.default_rng(2).permutation(channels))
    model = tiny.build(tiny.conv(x, outputs, groups=2))
    after = same_bits(model, shape)
    filter_ = next(
        parsed.tensors[o.inputs[1]]
        for parsed in [read_model(tune_for_cmsis_nn(model))]
        for o in parsed.operators
        if o.name == "CONV_2D"
    )
    assert filter_.shape == (outputs, 1, 1, channels if tuned else channels // 2)
    assert after["GATHER"] == (shuffled and not tuned)


def test_a_shuffle_with_other_readers_stays():
    tiny = tiny_tflite.TinyModel(1)
    shape = (1, 4, 4, 16)
    x = tiny.gather(tiny.input(shape), np.arange(16)[::-1])
    model = tiny.build(tiny.conv(x, 8, groups=2), x)
    assert same_bits(model, shape) == {"GATHER": 1, "CONV_2D": 1}


def test_a_whole_network_fused_and_not():
    model = tiny_tflite.small_micronet(seed=3)
    shape = (1, 16, 16, 3)
    before, after = counts(model), same_bits(model, shape)
    assert after["DEPTHWISE_CONV_2D"] < before["DEPTHWISE_CONV_2D"]
    images = np.random.default_rng(0).integers(-128, 128, (3, *shape[1:]), np.int8)
    np.testing.assert_array_equal(
        wheel_ops.run(fuse(tune_for_cmsis_nn(model)), images), wheel_ops.run(fuse(model), images)
    )


def test_what_is_no_model_is_refused():
    with pytest.raises(UserError, match="not a usable"):
        tune_for_cmsis_nn(b"no model" * 4)
