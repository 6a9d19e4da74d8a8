"""What is said of models that cannot be compiled: all of it, by its name, with the file."""

import numpy as np
import pytest
from hypothesis import given, settings
from mutations import MUTATIONS, mutate
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema
from tiny_tflite import TinyModel

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_c import plan


def refusal(raw, tmp_path):
    path = tmp_path / "a model.tflite"
    path.write_bytes(raw)
    with pytest.raises(UserError) as caught:
        plan(read_model(path))
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_all_obstacles_are_listed_at_once(tmp_path):
    m = TinyModel()
    x = m.input((1, 4, 4, 2))
    y = m.unary("SOFTMAX", m.unary("CUMSUM", m.unary("EXP", m.unary("EXP", x))))
    m.tensors[y].quantization.scale[0] = 0.01
    text = refusal(m.build(y), tmp_path)
    parts = text.removeprefix("cannot compile ").split("; ")
    assert parts[0] == "t1, operator 0 EXP (1x4x4x2 -> 1x4x4x2) and 1 more EXP: not supported"
    assert parts[1] == "t3, operator 2 CUMSUM (1x4x4x2 -> 1x4x4x2): not supported"
    assert parts[2].startswith("t4, operator 3 SOFTMAX") and "1/256" in parts[2]
    assert parts[3].startswith("supported are ADD, ") and len(parts) == 4


def test_kernels_that_there_are_not_are_listed_at_once(tmp_path):
    m = TinyModel()
    x = m.input((1, 4), 100.0)
    halves = [m.unary("HARD_SWISH", x, 1e-9), m.unary("HARD_SWISH", x, 1e-9)]
    y = m.made("MAXIMUM", halves, (1, 4))
    assert " and 1 more HARD_SWISH: " in refusal(m.build(y), tmp_path)


def _layer(dtype, weights, scale):
    m = TinyModel()
    x = m.input((1, 4), scale, 0, dtype)
    data = np.ones((3, 4), weights)
    filter_ = m.tensor((3, 4), 0.01, dtype=weights, data=data)
    y = m.tensor((1, 3), scale, 0, dtype)
    return m.build(m.operator("FULLY_CONNECTED", [x, filter_], y, schema.FullyConnectedOptionsT()))


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (_layer(np.uint8, np.uint8, 0.02), "a legacy uint8 graph"),
        (_layer(np.float32, np.int8, None), "a hybrid graph, of int8 weights and float32"),
        (_layer(np.int16, np.int8, 0.02), "int16 activations"),
    ],
)
def test_kinds_of_graphs_have_names(raw, name, tmp_path):
    assert refusal(raw, tmp_path).startswith(name)


def test_state_is_called_state(tmp_path):
    m = TinyModel()
    y = m.dense(m.input((1, 4)), 3)
    state = m.tensor((1, 4), 0.02)
    m.tensors[state].isVariable = True
    assert refusal(m.build(y), tmp_path) == "recurrent state (1 variable tensors): not supported"
    m = TinyModel()
    y = m.made("SVDF", [m.input((1, 4))], (1, 3))
    assert refusal(m.build(y), tmp_path) == "recurrent state (SVDF): not supported"


def moving_model():
    m = TinyModel()
    x = m.input((1, 4, 4, 6))
    a, b = m.made("SPLIT", [m.integers(3, shape=()), x], [(1, 4, 4, 3)] * 2, numSplits=2)
    c, d = m.made("SPLIT_V", [x, m.integers(2, 4), m.integers(-1, shape=())],
                  [(1, 4, 4, 2), (1, 4, 4, 4)])  # fmt: skip
    y = m.made("CONCATENATION", [b, c, a, d], (1, 4, 4, 12), axis=3)
    y = m.made("TRANSPOSE", [y, m.integers(0, 3, 1, 2)], (1, 12, 4, 4))
    y = m.made("STRIDED_SLICE", [y, *(m.integers(*v) for v in ((0, 1, 0, 0), (1, 9, 4, 4),
               (1, 2, 1, 1)))], (1, 4, 4, 4))  # fmt: skip
    parts = m.made("UNPACK", [y], [(1, 4, 4)] * 4, axis=1, num=4)
    y = m.made("PACK", parts, (1, 4, 4, 4), axis=2, valuesCount=4)
    y = m.made("RESIZE_NEAREST_NEIGHBOR", [y, m.integers(6, 8)], (1, 6, 8, 4))
    y = m.made("SUB", [y, m.mean(y, (2,), keep_dims=True)], (1, 6, 8, 4))
    y = m.made("LEAKY_RELU", [y], (1, 6, 8, 4), alpha=0.1)
    state = m.tensor((1, 6, 8, 4), 0.02, -3)
    m.operator("FILL", [m.integers(1, 6, 8, 4), m.tensor((), 0.02, -3, data=np.int8(7))], state)
    return m.build(m.binary("ADD", y, state), m.unary("TANH", y, 1 / 128, 0))


@pytest.mark.slow
@settings(max_examples=300)
@given(MUTATIONS)
def test_any_bytes_of_moves_compile_or_are_refused(mutations):
    try:
        plan(read_model(mutate(moving_model(), mutations)))
    except UserError as error:
        assert str(error)
