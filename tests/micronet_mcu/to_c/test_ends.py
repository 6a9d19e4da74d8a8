"""Inputs and outputs of other types than int8, and several of them, against TF Lite Micro."""

import re
import subprocess

import numpy as np
import plan_runner
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_micro import runtime
from tiny_tflite import TinyModel

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_c import compile_model, host, plan
from micronet_mcu.to_c.host_runner import HostRunner

quick = settings(max_examples=60)
# As networks have them and as they should not; round ones, whose ratios come close to halves.
scales = st.one_of(
    st.floats(0.002, 0.2),
    st.floats(1e-5, 50.0),
    st.integers(1, 999).map(lambda n: n / 1000),
    st.integers(-10, 3).map(lambda n: 2.0**n),
).map(np.float32)
zero_points = st.integers(-128, 127)
seeds = st.integers(0, 2**32 - 1)
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=address,undefined")


def tflm(flatbuffer, *inputs):
    interpreter = runtime.Interpreter.from_bytes(flatbuffer, arena_size=1 << 20)
    for i, values in enumerate(inputs):
        interpreter.set_input(values, i)
    interpreter.invoke()
    outputs = read_model(flatbuffer).outputs
    return [interpreter.get_output(i).copy() for i in range(len(outputs))]


def reals(rng, shape, scale, zero_point):
    """Numbers on the steps, between them, just beside the middle, and beyond the range."""
    steps = rng.integers(-140, 141, shape) + rng.choice([0.0, 0.25, 0.5, 0.49999997], shape)
    values = ((steps - zero_point) * scale).astype(np.float32)
    return np.where(rng.integers(0, 30, shape) == 0, values * np.float32(1e4), values)


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a.view(np.int8), b.view(np.int8))


@pytest.mark.slow
@quick
@given(seeds, scales, zero_points)
def test_quantize_and_dequantize_of_float(seed, scale, zero_point):
    m = TinyModel()
    x = m.input((1, 50), None, dtype=np.float32)
    q = m.convert(x, scale, zero_point)
    raw = m.build(q, m.convert(q, dtype=np.float32))
    values = reals(np.random.default_rng(seed), (1, 50), scale, zero_point)
    assert_same(plan_runner.run(raw, [values]), tflm(raw, values))


PAIRS = [(np.int8, np.int8), (np.int8, np.uint8), (np.uint8, np.int8)]  # as TFLM knows them
every_uint8 = np.arange(256, dtype=np.uint8).reshape(1, 256)


@quick
@given(
    st.sampled_from(PAIRS), scales, st.floats(0.05, 20.0), zero_points,
    zero_points, st.booleans(),
)  # fmt: skip
def test_quantize_between_types_of_a_byte(types, scale, ratio, zero_a, zero_b, same):
    a, b = types
    ratio, zero_b = (1.0, zero_a) if same else (ratio, zero_b)
    zeros = [z + 128 if dtype == np.uint8 else z for z, dtype in ((zero_a, a), (zero_b, b))]
    m = TinyModel()
    x = m.input((1, 256), scale, zeros[0], a)
    raw = m.build(m.convert(x, np.float32(scale * ratio), zeros[1], b))
    values = every_uint8.view(a)
    assert_same(plan_runner.run(raw, [values]), tflm(raw, values))


def classifier(source, target):
    m = TinyModel()
    x = m.input((1, 6, 5, 3), None if source == np.float32 else 0.02, 125, source)
    y = m.conv(m.convert(x, 0.02, -3), 4, (3, 3), (2, 2), activation="RELU6")
    y = m.unary("SOFTMAX", m.dense(m.pool(y), 5, gain=8))
    scale = None if target == np.float32 else 1 / 256
    return m.build(m.convert(y, scale, 0, target))


@pytest.mark.slow
@pytest.mark.parametrize("target", [np.float32, np.uint8])
@pytest.mark.parametrize("source", [np.float32, np.uint8])
def test_a_file_keeps_its_types(source, target, tmp_path):
    raw = classifier(source, target)
    runner = HostRunner(raw)
    rng = np.random.default_rng(0)
    for _ in range(3):
        values = rng.integers(0, 256, (1, 6, 5, 3)).astype(source)
        values = values if source == np.uint8 else values * np.float32(0.03) - np.float32(3)
        assert_same(runner.invoke_all(values), tflm(raw, values))
    compiled = compile_model(raw, tmp_path / "c")
    header = (compiled.folder / "model.h").read_text()
    names = {np.float32: "float", np.uint8: "uint8_t"}
    given_, wanted = names[source], names[target]
    assert f"int model_invoke(const {given_} *in, {wanted} *out);" in header
    assert f"{given_} *model_input(void);" in header
    assert f"const {wanted} *model_output(void);" in header
    assert "#define MODEL_INPUT_SIZE 90\n" in header and "#define MODEL_OUTPUT_SIZE 5\n" in header
    # A scale is there where there is something to be scaled.
    assert ("MODEL_INPUT_SCALE" in header) == (source == np.uint8)
    assert ("MODEL_OUTPUT_ZERO_POINT 0\n" in header) == (target == np.uint8)


_USER = """
#include "tiny.h"
int main() {
  static SOURCE in[TINY_INPUT_SIZE];
  TARGET out[TINY_OUTPUT_SIZE], sum = 0;
  int failed = tiny_selftest() != 0;
  for (int i = 0; i < TINY_INPUT_SIZE; ++i) in[i] = (SOURCE)(i % 7);
  failed |= tiny_invoke(in, out) != 0;
  for (int i = 0; i < TINY_INPUT_SIZE; ++i) tiny_input()[i] = in[i];
  failed |= tiny_invoke(0, 0) != 0;
  for (int i = 0; i < TINY_OUTPUT_SIZE; ++i) {
    sum = (TARGET)(sum + out[i]);
    failed |= out[i] != tiny_output()[i];
  }
  return failed || sum == 0;
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("user", ["main.c", "main.cc"])
@pytest.mark.parametrize(("source", "target"), [("float", "float"), ("uint8_t", "uint8_t")])
def test_a_user_builds_it(source, target, user, tmp_path):
    dtypes = {"float": np.float32, "uint8_t": np.uint8}
    folder = tmp_path / "c"
    compile_model(classifier(dtypes[source], dtypes[target]), folder, name="tiny")
    (folder / user).write_text(_USER.replace("SOURCE", source).replace("TARGET", target))
    compiler, standard = ("gcc", "-std=c99") if user == "main.c" else ("g++", "-std=c++11")
    flags = [*STRICT, "-c", user, "-o", "main.o"]
    subprocess.run([compiler, standard, *flags], cwd=folder, check=True)
    sources = [str(path) for path in sorted(folder.glob("*.c")) if path.name != "main.c"]
    command = ["gcc", "-std=c99", *STRICT, *sources, "main.o", "-o", "program"]
    subprocess.run(command, cwd=folder, check=True)
    assert subprocess.run([folder / "program"], check=False).returncode == 0


def test_the_ends_may_be_left_to_the_caller(tmp_path):
    raw = classifier(np.float32, np.float32)
    whole, bare = (plan(read_model(raw), int8_ends=bare) for bare in (False, True))
    assert len(bare.steps) == len(whole.steps) - 2
    assert bare.arena.plan.size <= whole.arena.plan.size
    values = np.random.default_rng(0).integers(-128, 128, (1, 6, 5, 3)).astype(np.int8)
    (found,) = plan_runner.run(raw, [values], int8_ends=True)
    floats = ((values.astype(np.int64) + 3) * np.float32(0.02)).astype(np.float32)
    (expected,) = tflm(raw, floats)
    np.testing.assert_array_equal((found.astype(int) + 128) / 256, expected)
    header = compile_model(raw, tmp_path / "c", int8_ends=True).folder / "model.h"
    text = header.read_text()
    assert "int model_invoke(const int8_t *in, int8_t *out);" in text
    assert "#define MODEL_INPUT_SCALE 0.02f\n#define MODEL_INPUT_ZERO_POINT (-3)\n" in text


def test_int8_ends_change_nothing_where_the_ends_are_int8_or_have_other_readers():
    m = TinyModel()
    x = m.input((1, 8), None, dtype=np.float32)
    a, b = m.convert(x, 0.02, 1), m.convert(x, 0.01, 2)
    raw = m.build(m.binary("ADD", a, b))
    assert len(plan(read_model(raw), int8_ends=True).steps) == 3


def two_of_each():
    m = TinyModel()
    a, b = m.input((1, 4, 4, 2)), m.input((1, 1, 1, 2), None, dtype=np.float32)
    y = m.binary("ADD", a, m.convert(b, 0.03, 4))
    z = m.dense(m.pool(y), 3, gain=8)
    m.tensors[a].name, m.tensors[y].name = "serving_default_image:0", "maps/Relu"
    m.tensors[b].name = "StatefulPartitionedCall:0"
    return m.build(m.convert(z, dtype=np.float32), y)


@pytest.mark.slow
def test_several_inputs_and_outputs_have_names(tmp_path):
    raw = two_of_each()
    rng = np.random.default_rng(0)
    values = [int8s(rng, (1, 4, 4, 2)), rng.normal(0, 1, (1, 1, 1, 2)).astype(np.float32)]
    expected = tflm(raw, *values)
    assert_same(plan_runner.run(raw, values), expected)
    compiled = compile_model(raw, tmp_path / "c")
    names = [end.name for end in compiled.program.ends]
    assert names == ["input_image", "input_1", "output_t8", "output_maps"]
    data = np.concatenate([v.ravel().view(np.int8) for v in values])
    found = host.run(compiled.folder, "model", compiled.program, data[None], STRICT)[0]
    np.testing.assert_array_equal(
        found, np.concatenate([v.ravel().view(np.int8) for v in expected])
    )
    header = (compiled.folder / "model.h").read_text()
    flat = re.sub(r"\s+", " ", header)
    assert (
        "int model_invoke(const int8_t *in_image, const float *in_1, float *out_t8, "
        "int8_t *out_maps);" in flat
    )
    assert "#define MODEL_INPUT_IMAGE_HEIGHT 4\n" in header and "CLASSES" not in header
    (tmp_path / "c" / "main.c").write_text(
        '#include "model.h"\nint main(void) { return model_selftest(); }\n'
    )
    command = ["gcc", "-std=c99", *STRICT, *sorted((tmp_path / "c").glob("*.c")), "-o", "program"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "program"], check=False).returncode == 0


def int8s(rng, shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def test_other_types_are_refused():
    m = TinyModel()
    x = m.input((1, 4), None, dtype=np.float32)
    with pytest.raises(UserError, match="float32 activations"):
        plan(read_model(m.build(m.operator("RELU", [x], m.tensor((1, 4), dtype=np.float32)))))
