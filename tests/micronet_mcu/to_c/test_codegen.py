"""Compiled C against TF Lite Micro, bit for bit; refusals; the folder as a user builds it."""

import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import MUTATIONS, mutate
from tflite_micro import runtime
from tiny_tflite import TinyModel, small_micronet

from micronet_mcu.errors import UserError
from micronet_mcu.graph import fixed_point
from micronet_mcu.graph.read import graph_of, read_model
from micronet_mcu.to_c import compile_model, draw_plan, host, plan, plan_text

SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARN = ("-Wall", "-Wextra", "-Werror")


def tflm(raw, inputs):
    interpreter = runtime.Interpreter.from_bytes(raw, arena_size=1 << 20)
    outputs = []
    for image in inputs:
        interpreter.set_input(image, 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).ravel().copy())
    return np.array(outputs)


def images(raw, count=3):
    """Noise, noise of little contrast, and the extremes."""
    model = read_model(raw)
    shape = (count, *model.tensors[model.inputs[0]].shape)
    values = np.random.default_rng(1).integers(-128, 128, shape, dtype=np.int8)
    values[1::3] //= 8
    values[2::3] = np.where(values[2::3] > 0, 127, -128)
    return values


def compiled(raw, inputs, folder, flags=SANITIZE + WARN, **options):
    result = compile_model(raw, folder / "c", **options)
    flat = inputs.reshape(len(inputs), -1).view(np.int8)
    return host.run(folder / "c", result.name, result.program, flat, flags)


def convolutions(m):
    x = m.input((1, 13, 11, 3))
    y = m.conv(x, 8, (3, 3), (2, 2), activation="RELU6")
    y = m.conv(y, 9, (2, 3), (1, 2), padding="VALID")
    y = m.conv(y, 12, (1, 1), per_channel=False)
    y = m.conv(y, 6, (1, 1), groups=3, activation="RELU")
    return m.conv(y, 5, (1, 1), (2, 2))


def grouped_windows(m):
    x = m.input((1, 6, 5, 8))
    return m.conv(m.conv(x, 4, (3, 3), groups=2), 8, (1, 1), (2, 1), groups=4)


def dilated(m):
    x = m.input((1, 9, 9, 4))
    y = m.conv(x, 4, (3, 3))
    m.operators[-1].builtinOptions.dilationHFactor = 2
    m.operators[-1].builtinOptions.dilationWFactor = 3
    return y


def depthwise(m):
    x = m.input((1, 12, 10, 4))
    y = m.depthwise(x, (3, 1), (2, 1), 2)
    y = m.depthwise(y, (1, 5), (1, 2), 2, activation="RELU6")
    y = m.depthwise(y, (3, 3), (1, 1))
    return m.depthwise(y, (2, 2), (2, 2), 3, padding="VALID")


def zero_taps(m):
    x = m.input((1, 12, 12, 3))
    y = m.conv(x, 2, (4, 1), (2, 1), zero_taps=np.s_[:, 3])
    y = m.depthwise(y, (1, 6), (1, 2), 2, zero_taps=np.s_[:, :, 5])
    y = m.depthwise(y, (3, 3), zero_taps=np.s_[:, :2])
    y = m.depthwise(y, (3, 1), zero_taps=np.s_[:, 1:])
    return m.conv(y, 4, (5, 5), zero_taps=np.s_[:, :, :4])


def dense(m):
    x = m.input((1, 3, 4, 5))
    y = m.dense(m.reshape(x, (1, 60)), 33, "RELU")
    return m.dense(m.dense(y, 17, per_channel=True), 10)


def dead_and_extreme(m):
    """Channels whose output never changes, and scales that no fast kernel takes."""
    x = m.input((1, 6, 6, 4))
    y = m.conv(x, 4, activation="RELU6")
    filter_, bias = (m.tensors[i] for i in m.operators[-1].inputs[1:])
    filter_.quantization.scale = np.float32([1e-9, 0.004, 0.004, 1e-12])
    bias.quantization.scale = filter_.quantization.scale * np.float32(m.scale(x))
    m.buffers[bias.buffer].data = np.int32([2**30, 100, -100, -(2**31)]).view(np.uint8)
    y = m.depthwise(y, (3, 3))
    m.tensors[m.operators[-1].inputs[1]].quantization.scale[1] = 3.0
    return m.dense(m.pool(y), 6, gain=4)


def wide_scales(m):
    """Channels whose scales no record takes: among others, all of them, with every geometry."""
    y = m.input((1, 9, 8, 4))
    for kernel, stride, multiplier, wide in (
        ((3, 1), (2, 1), 2, [0, 5]),
        ((1, 5), (1, 2), 1, [7]),
        ((3, 3), (1, 1), 1, range(8)),
        ((2, 2), (2, 2), 1, [2, 3]),
    ):
        y = m.depthwise(y, kernel, stride, multiplier, activation="RELU" if wide == [7] else "NONE")
        scales = m.tensors[m.operators[-1].inputs[1]].quantization.scale
        for channel in wide:
            scales[channel] *= 300
    return y


def pools(m):
    x = m.input((1, 9, 7, 6))
    y = m.pool(x, (3, 2), (2, 2), "SAME")
    y = m.pool(y, (2, 2), (1, 1), "VALID", "MAX_POOL_2D")
    return m.pool(y, (3, 3), (2, 2), "SAME", "MAX_POOL_2D")


def global_pool_softmax(m):
    return m.unary("SOFTMAX", m.reshape(m.pool(m.input((1, 5, 5, 12), 0.1)), (1, 12)))


def mean_of_map(m):
    x = m.input((1, 5, 7, 12), 0.1, 9)
    y = m.mean(x, scale=0.02, zero_point=-7, keep_dims=True)
    return m.dense(m.mean(m.binary("MUL", x, y), axes=(2, 1), scale=0.9, zero_point=3), 5)


def elementwise(m):
    x = m.input((1, 5, 4, 6))
    y = m.binary("ADD", x, m.depthwise(x, (3, 3)), activation="RELU")
    vector = m.pool(y)
    y = m.binary("MUL", y, vector)
    y = m.binary("ADD", vector, y)
    y = m.binary("ADD", y, y, scale=40 * m.scale(y))  # beyond the fast kernel
    y = m.binary("ADD", y, m.depthwise(x, (1, 1)), scale=m.scale(x))
    constant = m.tensor((6,), 0.02, 4, data=np.arange(-60, 60, 20))
    y = m.binary("ADD", m.binary("MUL", y, constant), y)
    return m.binary("MAXIMUM", y, m.gather(y, [5, 4, 3, 2, 1, 0]))


def tables(m):
    x = m.input((1, 16, 16, 3), 0.04)
    y = m.unary("HARD_SWISH", x, 0.03, -100)
    y = m.unary("RELU", y, 0.02, -128)
    y = m.unary("HARD_SWISH", y, 0.017, 5)
    return m.unary("RELU6", y, 0.017, 5)


def gathers(m):
    x = m.input((1, 4, 4, 6))
    y = m.gather(m.conv(x, 8), [7, 1, 0, 2, 6, 3, 5, 4])
    y = m.gather(m.gather(m.conv(y, 8, groups=2), [0, 4, 1, 5, 2, 6, 3, 7]), [0, 0, 3, 1, 2, 6])
    y = m.gather(m.depthwise(y, (3, 1), (1, 1), 2), [1, 0, 11, 5, 7, 9, 2, 4, 4, 8])
    y = m.gather(m.depthwise(y, (5, 5)), [3, 1, 2, 0, 5, 4])
    y = m.depthwise(y, (1, 1))  # its scale becomes one that no table takes
    m.tensors[m.operators[-1].inputs[1]].quantization.scale[1] = 3.0
    y = m.gather(y, [5, 4, 3, 2, 1, 0])
    return m.dense(m.gather(m.pool(y), [3, 1, 2, 0, 5, 4]), 7, gain=4)


def padded(m):
    x = m.input((1, 7, 7, 3))
    amounts = m.tensor((4, 2), dtype=np.int32, data=np.array([[0, 0], [0, 1], [2, 1], [0, 0]]))
    y = m.tensor((1, 8, 10, 3), m.scale(x), m.zero_point(x))
    return m.conv(m.operator("PAD", [x, amounts], y), 4, (3, 3), (2, 2), padding="VALID")


def row_of_vectors(m):
    return m.dense(m.reshape(m.input((1, 4, 6, 1)), (1, 24)), 8, per_channel=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [convolutions, grouped_windows, dilated, depthwise, zero_taps, dense, dead_and_extreme,
     wide_scales, pools,
     global_pool_softmax, mean_of_map, elementwise, tables, gathers, padded, row_of_vectors],
)  # fmt: skip
def test_operators_equal_tflm(build, tmp_path):
    m = TinyModel(3)
    raw = m.build(build(m))
    inputs = images(raw)
    expected = tflm(raw, inputs)
    assert len(np.unique(expected)) > 3
    np.testing.assert_array_equal(compiled(raw, inputs, tmp_path), expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_micronet_unfused_equals_tflm(seed, tmp_path):
    raw = small_micronet(seed)
    inputs = images(raw, 6)
    np.testing.assert_array_equal(compiled(raw, inputs, tmp_path, fuse=False), tflm(raw, inputs))


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 24)] * 2),
    st.sampled_from(["none", "align_corners", "half_pixel_centers"]),
)  # fmt: skip
def test_resizing_equals_tflm(tmp_path_factory, before, after, kind):
    m = TinyModel()
    x = m.input((1, *before, 3))
    raw = m.build(m.resize(x, *after, **({} if kind == "none" else {kind: True})))
    inputs = images(raw)
    folder = tmp_path_factory.mktemp("resize")
    np.testing.assert_array_equal(compiled(raw, inputs, folder), tflm(raw, inputs))


@settings(max_examples=60)
@given(
    st.integers(1, 40), st.integers(1, 40), st.floats(-12, 6), st.integers(-128, 127),
    st.integers(-128, 127),
)  # fmt: skip
def test_mean_multiplier_gives_tflms_mean(height, width, power, zero_in, zero_out):
    m = TinyModel()
    x = m.input((1, height, width, 2), 0.05, zero_in)
    raw = m.build(m.mean(x, scale=0.05 * 2.0**-power, zero_point=zero_out))
    node = graph_of(read_model(raw)).nodes[0]
    pixels = height * width
    multiplier, shift = fixed_point.mean_multiplier(
        node.inputs[0].scale / node.output.scale, pixels
    )
    values = images(raw)
    sums = values.reshape(3, pixels, 2).sum(axis=1, dtype=np.int64) - pixels * zero_in
    found = [fixed_point.requantize(int(s), multiplier, shift) + zero_out for s in sums.ravel()]
    np.testing.assert_array_equal(np.clip(found, -128, 127), tflm(raw, values).ravel())


@pytest.mark.slow
def test_a_converted_mobilenet_v2_equals_tflm(tmp_path):
    """As Keras and TensorFlow's own converter make it: MEAN, padding, inverted residuals."""
    model = keras.applications.MobileNetV2((32, 32, 3), 0.35, weights=None, classes=5)
    rng = np.random.default_rng(2)
    for layer in model.layers:
        # Keras' first weights let the signal die away on its way through so many layers.
        if hasattr(layer, "kernel"):
            inputs = np.prod(layer.kernel.shape[:-1])
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                inputs = 9
            layer.kernel.assign(rng.normal(0, np.sqrt(2 / inputs), layer.kernel.shape))
    noise = rng.uniform(-1, 1, (8, 1, 32, 32, 3)).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in noise)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    raw = converter.convert()
    assert "MEAN" in {operator.name for operator in read_model(raw).operators}
    inputs = images(raw)
    np.testing.assert_array_equal(
        compiled(raw, inputs, tmp_path, flags=("-O2", *WARN)), tflm(raw, inputs)
    )


@pytest.mark.slow
def test_micronet_fused(tmp_path):
    raw = small_micronet(1)
    inputs = images(raw, 6)
    program = plan(read_model(raw))
    kernels = [step.call.kernel.name for step in program.steps]
    assert kernels.count("micronet_dyshiftmax") == 3
    assert not any(k in kernels for k in ("micronet_mul", "micronet_maximum"))
    assert "micronet_gather_channels" not in kernels  # all are folded
    found = compiled(raw, inputs, tmp_path).astype(int)
    expected = tflm(raw, inputs).astype(int)
    # The last layers multiply every difference by about a hundred.
    assert np.abs(found - expected).mean() < expected.std() / 4


@pytest.mark.slow
@pytest.mark.parametrize("branches", [1, 2])
def test_fused_dy_shift_max_is_closer_to_real_numbers_than_tflm(branches, tmp_path):
    """Against its definition, from TFLM's coefficients."""
    m = TinyModel(5)
    x = m.input((1, 7, 5, 8))
    shuffle = np.array([0, 4, 1, 5, 2, 6, 3, 7])
    y = m.dy_shift_max(x, 2, branches, shuffle)
    raw = m.build(y)
    inputs = images(raw, 4)
    dense = [
        op.outputs[0] for op in m.operators if type(op.builtinOptions).__name__.startswith("Fully")
    ]
    real = (inputs.astype(float) - m.zero_point(x)) * m.scale(x)
    factors = [
        (tflm(m.build(c), inputs).astype(float) - m.zero_point(c)) * m.scale(c)
        for c in dense[-2 * branches :]
    ]
    shift = np.roll(np.roll(np.arange(8).reshape(2, 4), -1, 0), -1, 1).ravel()
    sums = [
        a[:, None, None, None] * real + b[:, None, None, None] * real[..., shift]
        for a, b in zip(factors[::2], factors[1::2], strict=True)
    ]
    exact = np.max(sums, axis=0)[..., shuffle].reshape(len(inputs), -1)
    steps = np.clip(exact / m.scale(y) + m.zero_point(y), -128, 127)
    error = np.abs(compiled(raw, inputs, tmp_path) - steps)
    assert error.max() < 0.6
    assert error.mean() < np.abs(tflm(raw, inputs) - steps).mean()


def branch(m, x, groups=2):
    channels = m.shape(x)[3]
    pooled = m.pool(x)
    a, b = (
        m.reshape(m.dense(pooled, channels, scale=1 / 64), (1, 1, 1, channels)) for _ in range(2)
    )
    shift = np.roll(np.arange(channels), -groups)
    left = m.binary("MUL", x, a, scale=2 * m.scale(x))
    right = m.binary("MUL", b, m.gather(x, shift), scale=2 * m.scale(x))
    return left, right


def fused_count(m, *outputs):
    steps = plan(read_model(m.build(*outputs))).steps
    return sum(step.call.kernel.name == "micronet_dyshiftmax" for step in steps)


def test_recognises_one_branch_in_any_order():
    for swap in (False, True):
        m = TinyModel()
        left, right = branch(m, m.conv(m.input((1, 4, 4, 3)), 8))
        y = m.binary("ADD", *((right, left) if swap else (left, right)), scale=0.03)
        assert fused_count(m, y) == 1


def test_does_not_fuse_what_others_read():
    m = TinyModel()
    left, right = branch(m, m.conv(m.input((1, 4, 4, 3)), 8))
    y = m.binary("ADD", left, right, scale=0.03)
    assert fused_count(m, m.binary("ADD", y, left)) == 0


def test_does_not_fuse_scales_beyond_the_kernel():
    m = TinyModel()
    x = m.conv(m.input((1, 4, 4, 3)), 8)
    left, right = branch(m, x)
    assert fused_count(m, m.binary("ADD", left, right, scale=m.scale(x) / 40)) == 0


def test_does_not_fuse_a_bounding_activation():
    m = TinyModel()
    left, right = branch(m, m.conv(m.input((1, 4, 4, 3)), 8))
    y = m.binary("ADD", left, right, scale=0.1, zero_point=0, activation="RELU6")
    assert fused_count(m, y) == 0


def test_zero_taps_are_cut():
    m = TinyModel()
    program = plan(read_model(m.build(zero_taps(m))))
    fields = [step.call.params.values for step in program.steps]
    kernels = [(f["kernel_h"], f["kernel_w"]) for f in fields]
    pads = [(f["pad_top"], f["pad_left"]) for f in fields]
    # A window may not come to lie outside of the image, so (3, 1) keeps a zero behind its tap.
    assert kernels == [(3, 1), (1, 5), (2, 3), (2, 1), (5, 3)]
    assert pads == [(1, 0), (0, 2), (0, 1), (1, 0), (2, 0)]


@pytest.mark.slow
@settings(max_examples=100)
@given(MUTATIONS)
def test_any_bytes_compile_or_are_refused(mutations):
    try:
        model = read_model(mutate(small_micronet(), mutations))
        program = plan(model)
    except UserError as error:
        assert str(error)
    else:
        assert program.arena.plan.size >= program.inputs[0].value.size


def built(build):
    m = TinyModel()
    return m.build(build(m))


def _float_input(m):
    x = m.tensor((1, 4), dtype=np.float32)
    m.inputs.append(x)
    return m.operator("RELU", [x], m.tensor((1, 4), dtype=np.float32))


def _unknown(m):
    x = m.input((1, 4))
    return m.operator("CUMSUM", [x], m.tensor((1, 4), 1 / 256, -128))


def _batch(m):
    return m.unary("HARD_SWISH", m.input((2, 4)))


def _softmax_scale(m):
    y = m.unary("SOFTMAX", m.input((1, 4)))
    m.tensors[y].quantization.scale[0] = 0.01
    return y


def _activation(m):
    y = m.conv(m.input((1, 4, 4, 2)), 4)
    m.operators[-1].builtinOptions.fusedActivationFunction = 4
    return y


def _mean_shape(m):
    y = m.mean(m.input((1, 4, 4, 2)))
    m.tensors[y].shape = np.array([1, 4], np.int32)
    return y


def _mean_axis(m):
    y = m.mean(m.input((1, 4, 4, 2)))
    m.buffers[m.tensors[m.operators[-1].inputs[1]].buffer].data = np.int32([1, 9]).view(np.uint8)
    return y


def _resized_scale(m):
    y = m.resize(m.input((1, 4, 4, 2)), 8, 8)
    m.tensors[y].quantization.scale[0] = 0.5
    return y


def _resized_shape(m):
    y = m.resize(m.input((1, 4, 4, 2)), 8, 8)
    m.tensors[y].shape = np.array([1, 8, 4, 2], np.int32)
    return y


def _resized_twice_aligned(m):
    return m.resize(m.input((1, 4, 4, 2)), 8, 8, align_corners=True, half_pixel_centers=True)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (_mean_shape, r"should give shape \[1, 2\]"),
        (_mean_axis, "axis out of range"),
        (_resized_scale, "must share scale and zero point"),
        (_resized_shape, r"should give shape \[1, 8, 8, 2\]"),
        (_resized_twice_aligned, "aligns corners as well"),
        (_float_input, r"operator 0 RELU \(1x4 -> 1x4\): float32 activations"),
        (_unknown, r"t1, operator 0 CUMSUM \(1x4 -> 1x4\): not supported; supported are"),
        (_batch, r"shape \[2, 4\]"),
        (_softmax_scale, "scale 1/256"),
        (_activation, r"operator 0 CONV_2D .* fused activation TANH"),
    ],
)
def test_refusals(build, message, tmp_path):
    with pytest.raises(UserError, match=message):
        compile_model(built(build), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_bad_names_and_existing_folders(tmp_path):
    raw = built(row_of_vectors)
    with pytest.raises(UserError, match="must be a C identifier"):
        compile_model(raw, tmp_path / "c", name="9 lives")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "precious").touch()
    with pytest.raises(UserError, match="exists"):
        compile_model(raw, tmp_path / "c")
    assert (tmp_path / "c" / "precious").exists()


_USER = """
#include <stdio.h>
#include <string.h>
#include "tiny.h"
int main(void) {
  int8_t in[TINY_INPUT_SIZE], out[TINY_OUTPUT_SIZE], again[TINY_OUTPUT_SIZE];
  int failed = tiny_selftest() != 0;
  for (int i = 0; i < TINY_INPUT_SIZE; ++i) in[i] = (int8_t)(i * 7);
  failed |= tiny_invoke(in, out) != 0;
  memcpy(tiny_input(), in, sizeof in);
  failed |= tiny_invoke(0, 0) != 0 || memcmp(tiny_output(), out, sizeof out) != 0;
  memcpy(tiny_input(), in, sizeof in);
  failed |= tiny_invoke(tiny_input(), again) != 0 || memcmp(again, out, sizeof out) != 0;
  failed |= TINY_INPUT_HEIGHT * TINY_INPUT_WIDTH * TINY_INPUT_CHANNELS != TINY_INPUT_SIZE;
  failed |= TINY_INPUT_SCALE != 0.02f || TINY_INPUT_ZERO_POINT != -3;
  failed |= !(TINY_OUTPUT_SCALE > 0) || TINY_ARENA_SIZE < TINY_INPUT_SIZE;
  return failed;
}
"""


@pytest.mark.slow
def test_folder_builds_as_a_user_builds_it(tmp_path):
    folder = tmp_path / "c"
    compile_model(built(depthwise), folder, name="tiny")
    (folder / "main.c").write_text(_USER)
    sources = [str(path) for path in sorted(folder.glob("*.c"))]
    subprocess.run(["gcc", "-std=c99", *WARN, *sources, "-o", "program"], cwd=folder, check=True)
    assert subprocess.run([folder / "program"], check=False).returncode == 0

    # The header serves C++, too.
    (folder / "user.cc").write_text('#include "tiny.h"\nint f() { return tiny_selftest(); }\n')
    subprocess.run(["g++", *WARN, "-c", "user.cc"], cwd=folder, check=True)

    # Only the kernels that are called came along.
    assert not list(folder.glob("micronet_dyshiftmax*.c"))

    # A weight that flips in flash is found.
    text = (folder / "tiny_weights.c").read_text()
    start = text.index("_weights[")
    spoiled = text[:start] + text[start:].replace("= {\n    ", "= {\n    1+", 1)
    assert spoiled != text
    (folder / "tiny_weights.c").write_text(spoiled)
    subprocess.run(["gcc", "-std=c99", *sources, "-o", "program"], cwd=folder, check=True)
    assert subprocess.run([folder / "program"], check=False).returncode == 1


def test_plan_as_text_and_picture(tmp_path):
    program = plan(read_model(small_micronet()), origin="small.tflite")
    text = plan_text(program)
    assert f"arena: {program.arena.plan.size} bytes" in text
    assert text.count("dyshiftmax") == 3
    draw_plan(program, tmp_path / "plan.png")
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_no_c_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no C compiler"):
        compile_model(built(row_of_vectors), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
