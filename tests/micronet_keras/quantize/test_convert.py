"""Conversion: all int8, only operations of TFLM, C arrays that compile; and the interpreter."""

import ctypes
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from small_micronet import CLASSES, images, small_micronet

from micronet_keras.deploy import deploy
from micronet_keras.models import MicroNetM0
from micronet_keras.quantize import convert, post_training_quantize
from micronet_mcu import read_model
from micronet_mcu.errors import UserError
from micronet_mcu.tflite.model import layer_name
from micronet_mcu.to_c import plan, plan_text
from micronet_mcu.to_tflm import Interpreter, measure_arena, write_c_array

NAMES = ['plain "quoted"', "back\\slash", "große Öffnung", "trigraph??="]


@pytest.fixture(scope="module")
def quantized():
    return post_training_quantize(small_micronet(), [images(16)], NAMES)


@pytest.fixture(scope="module")
def deployed(quantized, tmp_path_factory):
    """(folder with the C files, flatbuffer)"""
    folder = tmp_path_factory.mktemp("deployed")
    return folder, deploy(folder, quantized).flatbuffer


@pytest.fixture(scope="module")
def flatbuffer(deployed):
    return deployed[1]


@pytest.fixture(scope="module")
def m0():
    """M0 at 96 px with random weights: the structure is that of a trained one."""
    model = MicroNetM0(input_shape=(96, 96, 3), classes=10)
    return convert(post_training_quantize(model, [images(4, 96)]))


@pytest.mark.slow
def test_all_is_int8(flatbuffer):
    model = read_model(flatbuffer)
    assert {str(tensor.dtype) for tensor in model.tensors} == {"int8", "int32"}
    names = {operator.name for operator in model.operators}
    assert names == {
        "ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "GATHER",
        "HARD_SWISH", "MAXIMUM", "MUL", "RESHAPE",
    }  # fmt: skip
    inputs = model.tensors[model.inputs[0]]
    assert inputs.shape == (1, 32, 32, 3)
    assert inputs.zero_point[0] == 116 - 128


@pytest.mark.slow
def test_coefficients_saturate_where_the_hard_sigmoid_does(flatbuffer):
    """Their scale is 1/64 and their zero point stands for a whole number of halves."""
    model = read_model(flatbuffer)
    factors = {i for op in model.operators if op.name == "MUL" for i in op.inputs}
    dense = [op.outputs[0] for op in model.operators if op.name == "FULLY_CONNECTED"]
    coefficients = [model.tensors[i] for i in dense if i in factors]
    assert coefficients
    for tensor in coefficients:
        assert tensor.scale[0] == 1 / 64
        assert tensor.zero_point[0] in (0, -64)


def test_operators_are_named_after_the_keras_layers(quantized, flatbuffer):
    model = read_model(flatbuffer)
    names = [layer_name(model, operator) for operator in model.operators]
    layers = {node.name for node in quantized.graph}
    own = {name for name in names if name in layers}
    # What has no tensor of its own is taken in by the next layer.
    assert {"stem/vertical", "block1/depthwise/horizontal", "block3/expand", "logits_dense"} <= own
    assert all(any(f"{name}/".startswith(f"{layer}/") for layer in layers) for name in names)
    assert len({model.tensors[o.outputs[0]].name for o in model.operators}) == len(names)
    (dense,) = [o for o in model.operators if model.tensors[o.outputs[0]].name == "logits_dense"]
    assert [model.tensors[i].name for i in dense.inputs[1:]] == [
        "logits_dense/weights",
        "logits_dense/bias",
    ]


def test_layer_names_reach_the_memory_plan(flatbuffer):
    text = plan_text(plan(read_model(flatbuffer)))
    for name in ("stem/vertical", "block3/expand", "block3/expand_activation", "logits_dense"):
        assert f"  {name} " in text and f"  {name}\n" in text


@pytest.mark.slow
def test_m0_meets_its_budget(m0):
    operators = read_model(m0).operators
    assert len(operators) <= 210
    names = {operator.name for operator in operators}
    assert not names & {
        "PAD",
        "TRANSPOSE",
        "STRIDED_SLICE",
        "MEAN",
        "RELU6",
        "QUANTIZE",
        "DEQUANTIZE",
    }
    assert measure_arena(m0) <= 95 * 1024


def reference_output(flatbuffer, image):
    """TFLite's reference kernels."""
    interpreter = tf.lite.Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tflm_answers_as_tflites_reference_kernels(flatbuffer):
    """FULLY_CONNECTED rounds otherwise by one step, which later layers carry on."""
    interpreter = Interpreter(flatbuffer)
    for image in images(6, seed=3):
        image = (image.astype(np.int16) - 128).astype(np.int8)[None]
        difference = interpreter.invoke(image).astype(int) - reference_output(flatbuffer, image)
        assert np.abs(difference).max() <= 3


@pytest.mark.slow
def test_tflm_computes_what_was_calibrated(quantized, flatbuffer):
    from micronet_keras.lower.tensorflow import run

    node, pixels = quantized.graph.input, images(6, seed=3)
    x = ((pixels.astype(np.float32) - node.pixel_zero) * node.pixel_scale).astype(np.float32)
    expected = run(quantized.graph, x, quantized.ranges)[0].numpy()
    outputs = Interpreter(flatbuffer).predict(pixels)
    assert np.abs(outputs - expected).max() < 0.15 * np.abs(expected).max()


@pytest.mark.slow
def test_wrong_images_and_damaged_models_are_refused(flatbuffer):
    interpreter = Interpreter(flatbuffer)
    with pytest.raises(UserError, match=r"takes images of \(32, 32, 3\), these are \(48, 48, 3\)"):
        interpreter.predict(images(1, 48))
    for damaged in (b"", b"hello", flatbuffer[: len(flatbuffer) // 2]):
        with pytest.raises(UserError):
            Interpreter(damaged)


def test_operations_that_tflm_lacks_are_its_own_words():
    f = tf.function(lambda x: tf.math.atan2(x, x + 1.0), input_signature=[tf.TensorSpec((1, 4))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [f.get_concrete_function()], tf.Module()
    )
    with pytest.raises(UserError, match="TensorFlow Lite Micro cannot run this model"):
        measure_arena(converter.convert())


C_CHECK = r"""
#include "model_data.h"
static const int32_t shape[MODEL_INPUT_RANK] = MODEL_INPUT_SHAPE;
int32_t check(void) {
  return shape[1] + MODEL_ARENA_SIZE + MODEL_OUTPUT_ZERO_POINT + MODEL_LABEL_COUNT
      + (MODEL_INPUT_SCALE > 0.0f) + (int32_t)((uintptr_t)model_data % 16);
}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "compiler", [["gcc", "-std=c11", "-x", "c"], ["g++", "-std=c++11", "-x", "c++"]]
)
def test_deployed_c_compiles_and_holds_the_model(deployed, compiler, tmp_path):
    folder, flatbuffer = deployed
    assert (folder / "model.tflite").read_bytes() == flatbuffer
    check = tmp_path / "check.c"
    check.write_text('extern "C" {\n' * ("c++" in compiler) + C_CHECK + "}\n" * ("c++" in compiler))
    library = tmp_path / "check.so"
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-fPIC", "-shared"]
    subprocess.run(
        [*compiler, *flags, f"-I{folder}", folder / "model_data.cc", check, "-o", library],
        check=True,
    )
    c = ctypes.CDLL(str(library))

    def array(name, dtype, size):
        return np.frombuffer((ctypes.c_uint8 * size).in_dll(c, name), dtype)

    assert array("model_data", np.uint8, len(flatbuffer)).tobytes() == flatbuffer
    labels = (ctypes.c_char_p * CLASSES).in_dll(c, "model_labels")
    assert [label.decode() for label in labels] == NAMES
    image = array("model_test_input", np.int8, 32 * 32 * 3).reshape(1, 32, 32, 3)
    answer = Interpreter(flatbuffer).invoke(image)
    np.testing.assert_array_equal(array("model_test_output", np.int8, CLASSES), answer[0])
    output = read_model(flatbuffer).tensors[read_model(flatbuffer).outputs[0]]
    expected = 32 + measure_arena(flatbuffer) + output.zero_point[0] + CLASSES + 1
    assert c.check() == expected


def test_c_arrays_refuse_what_does_not_fit(flatbuffer, tmp_path):
    image, answer = np.zeros(32 * 32 * 3, np.int8), np.zeros(CLASSES, np.int8)
    with pytest.raises(UserError, match="C identifier, not '1st'"):
        write_c_array(tmp_path, flatbuffer, 1, image, answer, name="1st")
    with pytest.raises(UserError, match="2 labels for 4 outputs"):
        write_c_array(tmp_path, flatbuffer, 1, image, answer, ["a", "b"])
    with pytest.raises(UserError, match="test vector has 3072 values, the model 4"):
        write_c_array(tmp_path, flatbuffer, 1, image, image)
    assert not any(tmp_path.iterdir())
