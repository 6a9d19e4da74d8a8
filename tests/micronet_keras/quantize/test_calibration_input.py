"""What calibration takes, what it says of images that look wrong, and how near int8 then is."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_micronet import images, small_micronet

from micronet_keras.lower import graph as nodes
from micronet_keras.lower import lower
from micronet_keras.lower.emit import TRAINED
from micronet_keras.models import preprocess_input
from micronet_keras.quantize import (
    ENGINES,
    QuantizedGraph,
    calibrate,
    convert,
    fidelity,
    post_training_quantize,
    quantize_aware,
)
from micronet_keras.tasks.figures import signal_to_noise
from micronet_mcu import Interpreter, read_model
from micronet_mcu.errors import Doubt, UserError

PIXELS = images(8, 16)


def network(channels=3, first=None):
    """A classifier of 16 x 16 pixels."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input((16, 16, channels))
    x = first(x) if first else x
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(4)(x))


@pytest.fixture(scope="module")
def graph():
    return lower(network())


def datasets():
    pixels = tf.data.Dataset.from_tensor_slices(PIXELS)
    labelled = tf.data.Dataset.from_tensor_slices((PIXELS, np.arange(8)))
    return {
        "array": PIXELS,
        "tensor": tf.constant(PIXELS),
        "floats": PIXELS.astype("float32"),
        "with labels": (PIXELS, np.arange(8)),
        "tf.data": pixels.batch(8),
        "tf.data of images": pixels,
        "tf.data with labels": labelled.batch(8),
        "representative_dataset": lambda: ([image[None].astype("float32")] for image in PIXELS),
    }


@pytest.mark.parametrize("form", datasets())
def test_calibration_takes_what_predict_takes(graph, form):
    assert calibrate(graph, datasets()[form]) == calibrate(graph, [PIXELS])


@pytest.mark.parametrize("quantize", [calibrate, post_training_quantize, quantize_aware])
def test_what_are_no_images_is_refused(graph, quantize):
    with pytest.raises(UserError, match="images must be an array.* Received: NoneType"):
        quantize(graph, None)
    with pytest.raises(UserError, match=r"takes images of \(16, 16, 3\), these are \(8, 16, 3\)"):
        quantize(graph, PIXELS[:, :8])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (preprocess_input, "they go down to -2.1.*, as of preprocess_input"),
        (lambda p: p / 255, "they are at most 1, as of images that were divided by 255"),
        (lambda p: (p.astype(int) - 128).astype(np.int8), "they go down to -128.* pixel - 128"),
        (lambda p: p.astype(np.float32) * 257, r"they go up to 6.\d+e\+04"),
        (lambda p: 0 * p, "each has one value all over, as black frames"),
        (lambda p: 0 * p + np.uint8(90), "each has one value all over"),
        (lambda p: np.repeat(p[:1], 4, 0), "they are all the same picture"),
    ],
    ids=["preprocessed", "/255", "int8", "16 bits", "black", "grey", "one picture"],
)
def test_images_that_look_wrong_are_reported(graph, wrong, reason):
    with pytest.warns(Doubt, match=f"calibration images are odd: {reason}") as warned:
        quantized = post_training_quantize(graph, wrong(PIXELS))
    (doubt,) = quantized.doubts
    assert doubt in [str(warning.message) for warning in warned]
    assert warned[0].filename == __file__


@pytest.mark.filterwarnings("error::micronet_mcu.errors.Doubt")
def test_sound_images_are_not_reported(graph):
    assert post_training_quantize(graph, [PIXELS, PIXELS[:2] // 100]).doubts == ()
    grey = lower(network(1))
    assert post_training_quantize(grey, PIXELS[..., :1] / 255).doubts == ()


@pytest.mark.slow
def test_the_ratio_is_that_of_tflm(tmp_path):
    model, pixels = small_micronet(), images(8)
    quantized = post_training_quantize(model, pixels)
    expected = model.predict(preprocess_input(pixels), verbose=0)
    on_tflm = signal_to_noise(expected, Interpreter(convert(quantized)).predict(pixels))
    assert quantized.signal_to_noise == pytest.approx(on_tflm, abs=3)
    quantized.save(tmp_path / "q.npz")
    assert QuantizedGraph.load(tmp_path / "q.npz").signal_to_noise == quantized.signal_to_noise


def test_all_weights_are_rounded_in_the_comparison():
    kinds = [kind for kind in vars(nodes).values() if isinstance(kind, type)]
    kinds = [kind for kind in kinds if issubclass(kind, nodes.Node)]
    weights = {kind: {f.name for f in dataclasses.fields(kind)} & set(TRAINED) for kind in kinds}
    kernels = {kind: {n for n in names if "kernel" in n} for kind, names in weights.items()}
    assert {kind: set(axes) for kind, axes in fidelity.SHARED_AXES.items()} == {
        kind: names for kind, names in kernels.items() if names
    }


@pytest.mark.slow
def test_int8_that_is_far_from_float_is_reported():
    """What is wanted is the small difference of two large numbers, and int8 has no place for it."""
    model = network(2, keras.layers.Rescaling(1 / 255))
    convolution, dense = model.layers[2], model.layers[4]
    kernel = np.zeros((3, 3, 2, 8))
    kernel[1, 1, :, 0], kernel[1, 1, :, 1] = (100, 0), (100, 1)
    convolution.set_weights([kernel, np.zeros(8)])
    dense.set_weights([np.outer([-1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1]), np.zeros(4)])
    with pytest.warns(Doubt, match=r"ratio of -?\d+\.\d dB on 8 .* or more of it, helps"):
        quantized = post_training_quantize(model, PIXELS[..., :2])
    assert quantized.signal_to_noise < 15
    qat = quantize_aware(model, PIXELS[..., :2])
    with pytest.warns(Doubt, match="int8 is far from float"):
        assert qat.quantized_graph().signal_to_noise < 15


@pytest.mark.slow
def test_greyscale_in_its_own_unit_is_not_taken_for_pixels():
    """Calibrated with dim pictures, the input's range is less than a pixel's."""
    model = network(1)
    dim = (20 + PIXELS[..., :1] / 2).astype(np.float32) / 255
    quantized = post_training_quantize(model, dim)
    flatbuffer = convert(quantized)
    parsed = read_model(flatbuffer)
    image = parsed.tensors[parsed.inputs[0]]
    assert image.name == "values" and image.scale[0] < 0.7 / 255
    found = Interpreter(flatbuffer).predict(dim)
    assert signal_to_noise(model.predict(dim, verbose=0), found) > 25
    with pytest.raises(UserError, match="from 20 to .*give what the Keras model takes"):
        Interpreter(flatbuffer).predict((dim * 255).astype(np.uint8))


@pytest.mark.parametrize("engine", ENGINES)
def test_training_images_that_are_no_pixels_are_refused(graph, engine):
    qat = quantize_aware(graph, PIXELS, engine)
    with pytest.raises(UserError, match="no pixels: they go down to -2.1"):
        qat.preprocess(preprocess_input(PIXELS))
    pairs = tf.data.Dataset.from_tensors(PIXELS).map(qat.preprocess)
    np.testing.assert_allclose(next(iter(pairs)), qat.preprocess(PIXELS))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_conversion_takes_what_quantization_gives_and_saves(graph, engine, tmp_path):
    qat = quantize_aware(graph, PIXELS, engine)
    expected = convert(qat.quantized_graph())
    assert convert(qat) == expected
    qat.quantized_graph().save(tmp_path / "q.npz")
    assert convert(tmp_path / "q.npz") == expected
    with pytest.raises(UserError, match=r"post_training_quantize.* Received: Functional"):
        convert(network())
    (tmp_path / "model.tflite").write_bytes(expected)
    with pytest.raises(UserError, match="not a quantized graph but a flatbuffer"):
        convert(tmp_path / "model.tflite")
    network().save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="not a quantized graph but a Keras model; quantize it"):
        convert(str(tmp_path / "model.keras"))
