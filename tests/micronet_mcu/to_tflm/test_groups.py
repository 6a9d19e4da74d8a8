"""Grouped convolutions without groups: the same results, bit for bit, on the real interpreter."""

from collections import Counter

import numpy as np
import pytest
import tiny_tflite
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_micro.python.tflite_micro import runtime

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_tflm.groups import FORMS, rewrite_groups


def invoke(model, image):
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    interpreter.set_input(image, 0)
    interpreter.invoke()
    return interpreter.get_output(0).copy()


@settings(max_examples=15)
@given(
    groups=st.integers(2, 12),
    depth=st.integers(1, 3),
    outputs=st.integers(1, 3),
    kernel=st.sampled_from([(1, 1), (3, 1)]),
    per_channel=st.booleans(),
    activation=st.sampled_from(["NONE", "RELU6"]),
    seed=st.integers(0, 99),
)
def test_dense_and_split_give_the_same_bits(
    groups, depth, outputs, kernel, per_channel, activation, seed
):
    tiny = tiny_tflite.TinyModel(seed)
    x = tiny.input((1, 4, 5, groups * depth))
    y = tiny.conv(x, groups * outputs, kernel, groups=groups, per_channel=per_channel,
                  activation=activation)  # fmt: skip
    model = tiny.build(y)
    image = tiny.rng.integers(-128, 128, (1, 4, 5, groups * depth), np.int8)
    expected = invoke(model, image)
    for form in FORMS:
        rewritten = rewrite_groups(model, form)
        np.testing.assert_array_equal(invoke(rewritten, image), expected)
        parsed = read_model(rewritten)
        for operator in parsed.operators:
            if operator.name == "CONV_2D" and form != "native":
                x_, filter_ = (parsed.tensors[i] for i in operator.inputs[:2])
                assert x_.shape[3] == filter_.shape[3]


def test_a_whole_network():
    model = tiny_tflite.small_micronet(seed=2)
    image = np.random.default_rng(1).integers(-128, 128, (1, 16, 16, 3), np.int8)
    expected = invoke(model, image)
    for form in FORMS:
        np.testing.assert_array_equal(invoke(rewrite_groups(model, form), image), expected)


def test_more_groups_than_concatenation_takes_are_joined_in_stages():
    tiny = tiny_tflite.TinyModel(0)
    model = tiny.build(tiny.conv(tiny.input((1, 2, 2, 22)), 22, groups=11))
    parsed = read_model(rewrite_groups(model, "split"))
    counts = Counter(operator.name for operator in parsed.operators)
    assert counts == {"SPLIT": 1, "CONV_2D": 11, "CONCATENATION": 2}
    assert all(len(o.inputs) <= 10 for o in parsed.operators if o.name == "CONCATENATION")


def test_a_model_without_groups_is_untouched():
    tiny = tiny_tflite.TinyModel(0)
    model = tiny.build(tiny.conv(tiny.input((1, 2, 2, 4)), 4))
    assert all(rewrite_groups(model, form) == model for form in FORMS)


def test_unknown_forms_are_refused():
    with pytest.raises(UserError, match="native, split, dense, not 'sparse'"):
        rewrite_groups(b"", "sparse")
