"""The reader of `.tflite` files: what it reads, and that no bytes can crash it."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import MUTATIONS, RAW, mutate
from paths import ROOT
from tiny_tflite import TinyModel

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model


def test_reads_tensors_and_operators():
    m = TinyModel()
    x = m.input((1, 6, 8, 4), scale=0.25, zero_point=-7)
    y = m.conv(x, 6, (3, 1), (2, 1), groups=2, activation="RELU6")
    model = read_model(m.build(m.reshape(y, (1, 144))))

    assert model.inputs == (x,)
    assert model.tensors[x].shape == (1, 6, 8, 4)
    assert model.tensors[x].dtype == np.int8
    assert model.tensors[x].scale == [0.25] and model.tensors[x].zero_point == [-7]
    assert model.tensors[x].data is None
    conv, reshape = model.operators
    assert (conv.name, reshape.name) == ("CONV_2D", "RESHAPE")
    assert conv.options["padding"] == "SAME"
    assert (conv.options["stride_h"], conv.options["stride_w"]) == (2, 1)
    assert conv.options["fused_activation_function"] == "RELU6"
    weights = model.tensors[conv.inputs[1]]
    assert weights.data.shape == (6, 3, 1, 2) and weights.scale.shape == (6,)
    assert weights.quantized_dimension == 0
    with pytest.raises(ValueError):
        weights.data[0] = 0
    assert model.shapes(conv) == "operator 0 CONV_2D (1x6x8x4, 6x3x1x2, 6 -> 1x3x8x6)"


def test_reads_a_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(RAW)
    assert len(read_model(path).operators) == len(read_model(str(path)).operators) > 50


def test_custom_operator():
    m = TinyModel()
    x = m.input((1, 4))
    m.operator("CUSTOM", [x], m.tensor((1, 4), 0.1), custom_code="DyShiftMax")
    m.operators[-1].customOptions = np.array([1, 2, 255], np.uint8)
    (operator,) = read_model(m.build(1)).operators
    assert operator.custom_name == "DyShiftMax"
    assert operator.custom_options == b"\x01\x02\xff"


def test_missing_files(tmp_path):
    for path in (tmp_path / "no.tflite", tmp_path, "/dev/zero"):
        with pytest.raises(UserError, match="no such file"):
            read_model(path)


@pytest.mark.parametrize("size", sorted({0, 1, 3, 4, 7, 8, 15, 16, *range(17, len(RAW), 173)}))
def test_truncated(size):
    with pytest.raises(UserError):
        read_model(RAW[:size])


def test_last_byte_cut():
    # Padding at the end of a flatbuffer may be dispensable; its last vector or table is not.
    with pytest.raises(UserError):
        read_model(RAW[:-32])


def _broken(change):
    m = TinyModel()
    x = m.input((1, 4, 4, 4))
    y = m.conv(x, 4)
    y = m.gather(m.pool(y), [3, 2, 1, 0])
    change(m)
    return m.build(y)


def _set(index, **fields):
    def change(m):
        for name, value in fields.items():
            setattr(m.tensors[index], name, value)

    return change


def _option(index, **fields):
    def change(m):
        for name, value in fields.items():
            setattr(m.operators[index].builtinOptions, name, value)

    return change


def _quantization(index, **fields):
    def change(m):
        for name, value in fields.items():
            setattr(m.tensors[index].quantization, name, value)

    return change


def _indices(values):
    def change(m):
        m.buffers[-1].data = np.asarray(values, np.int32).view(np.uint8)

    return change


# Tensors of the model: 0 input, 1 filter, 2 bias, 3 conv's output, 4 pool's, 5 indices, 6 output.
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(0, shape=np.array([1, 4, -4, 4], np.int32)), "has shape"),
        (_set(0, shape=np.array([1, 4, 0, 4], np.int32)), "has shape"),
        (_set(0, shape=np.array([1 << 20, 1 << 20, 4, 4], np.int32)), "larger than"),
        (_set(0, shape=np.array([1, 4, 4, 5], np.int32)), "channels for a filter"),
        (_set(0, buffer=99), "has buffer 99"),
        (_set(0, buffer=1), "needs 64 bytes, its buffer holds 16"),
        (_set(0, isVariable=True), "variable"),
        (_set(0, type=5), "type STRING"),
        (_set(3, shape=np.array([1, 4, 4, 8], np.int32)), "should give 4 channels"),
        (_set(3, shape=np.array([1, 3, 4, 4], np.int32)), "should give size 4 on axis 1"),
        (_quantization(0, scale=np.array([np.nan], np.float32)), "not finite"),
        (_quantization(0, scale=np.array([-1], np.float32)), "negative"),
        (_quantization(0, scale=np.array([0], np.float32)), "one positive scale"),
        (_quantization(0, zeroPoint=np.array([128])), "zero point outside"),
        (_quantization(0, scale=np.array([1e16], np.float32)), "scale of 1e.16, beyond all"),
        (_quantization(3, scale=np.array([1e-40], np.float32)), "scale of 9.*e-41, beyond all"),
        (_quantization(1, scale=np.full(4, 1e38, np.float32)), "scale of 1e.38, beyond all"),
        (_quantization(1, scale=np.ones(3, np.float32)), "3 scales and 4 zero points"),
        (_quantization(1, quantizedDimension=3), "quantized along axis 3"),
        (_option(0, strideH=0), "stride 0"),
        (_option(0, dilationWFactor=0), "dilation 0"),
        (_option(0, padding=7), "padding 7"),
        (_option(1, filterHeight=0), "window"),
        (_indices([0, 1, 2, 4]), "index outside 0..3"),
        (_indices([0, 1, 2, -1]), "index outside 0..3"),
        (lambda m: setattr(m.operators[0], "builtinOptions", None), "lacks its Conv2DOptions"),
        (lambda m: setattr(m.operators[0], "inputs", [0, 77, 2]), "tensor that is not there"),
        (lambda m: setattr(m.operators[0], "inputs", [0, -1, 2]), "lacks an input"),
        (lambda m: setattr(m.operators[0], "outputs", [1]), "has a value already"),
        (lambda m: m.operators.reverse(), "before anything has written it"),
        (lambda m: setattr(m.operators[0], "inputs", [3, 1, 2]), "before anything has written"),
        (lambda m: setattr(m.operators[0], "opcodeIndex", 9), "operator code 9 of 3"),
        (lambda m: m.operators.clear(), "no operators"),
        (lambda m: m.inputs.append(0), "twice an input"),
    ],
)
def test_hostile_contents(change, message):
    assert read_model(_broken(lambda m: None))
    with pytest.raises(UserError, match=message):
        read_model(_broken(change))


@pytest.mark.parametrize("output", [0, 1])
def test_an_output_that_nothing_computes(output):
    m = TinyModel()
    m.conv(m.input((1, 4, 4, 4)), 4)
    with pytest.raises(UserError, match="an output of the model is no result of an operator"):
        read_model(m.build(output))


def test_not_a_model():
    for raw in (b"", b"PK\x03\x04 a zip file with some bytes", b"\0" * 64, b"\xff" * 64):
        with pytest.raises(UserError, match="model"):
            read_model(raw)
    wrong_version = bytearray(RAW)
    root = struct.unpack_from("<I", RAW)[0]
    vtable = root - struct.unpack_from("<i", RAW, root)[0]
    field = root + struct.unpack_from("<H", RAW, vtable + 4)[0]
    struct.pack_into("<I", wrong_version, field, 2)
    with pytest.raises(UserError, match="schema version 2"):
        read_model(bytes(wrong_version))


@settings(max_examples=150)
@given(MUTATIONS, st.one_of(st.none(), st.integers(0, len(RAW))))
def test_mutated_bytes_give_a_model_or_an_error(mutations, end):
    try:
        model = read_model(mutate(RAW, mutations, end))
    except UserError as error:
        assert str(error)
    else:
        for tensor in model.tensors:
            assert all(n > 0 for n in tensor.shape)
            assert tensor.data is None or tensor.data.nbytes == tensor.nbytes


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_noise_behind_the_identifier(noise):
    with pytest.raises(UserError):
        read_model(b"\x10\0\0\0TFL3" + noise)


def test_overlapping_vectors_do_not_take_forever():
    # Each of many tensors claims the same long vector of scales: the budget ends it.
    m = TinyModel()
    x = m.input((1, 4))
    for _ in range(2000):
        m.tensor((1, 4), 0.1)
    raw = bytearray(m.build(m.unary("HARD_SWISH", x)))
    size = len(raw)
    for position in range(0, size - 8, 4):
        if struct.unpack_from("<I", raw, position)[0] == 1:
            struct.pack_into("<I", raw, position, size // 16)
    with pytest.raises(UserError):
        read_model(bytes(raw))


_SURVIVE = """
import sys, random
sys.path.insert(0, {support!r})
from tflite_micro import runtime
from micronet_mcu.graph.read import read_model
from micronet_mcu.errors import UserError
from mutations import INTERESTING, RAW, mutate
rng, ran = random.Random({seed}), 0
for _ in range({count}):
    where = rng.choice([4000, len(RAW)])
    raw = mutate(RAW, [(rng.randrange(where), rng.choice([rng.randrange(256), *INTERESTING]))
                       for _ in range(rng.randint(1, 3))])
    try:
        read_model(raw)
    except UserError:
        continue
    try:
        runtime.Interpreter.from_bytes(raw, arena_size=1 << 20).invoke()
    except (RuntimeError, ValueError):
        pass
    ran += 1
print("ran", ran)
"""


@pytest.mark.slow
def test_what_passes_does_not_crash_the_interpreter():
    code = _SURVIVE.format(support=str(ROOT / "tests" / "support"), seed=7, count=300)
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout.split()[-1]) > 30
