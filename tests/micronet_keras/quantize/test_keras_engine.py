"""The native engine of quantization-aware training: equal to tfmot's, on every backend."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_models import CASES, numbers
from optional import require
from paths import ROOT
from small_micronet import CLASSES, images, randomized, small_micronet
from stick_figures import tiny_backbone

from micronet_keras import convert, quantize_aware
from micronet_keras.lower import functions, lower
from micronet_keras.models import MicroNetObjectDetector
from micronet_keras.quantize import keras_builder
from micronet_mcu.to_tflm import Interpreter


def mixed_cnn():
    keras.utils.set_random_seed(1)
    x = image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = x + keras.layers.Conv2D(8, 1, groups=2, activation="hard_swish")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return randomized(keras.Model(image, keras.layers.Dense(CLASSES, name="logits")(x)))


@pytest.fixture(scope="module")
def graph():
    return lower(mixed_cnn())


@pytest.fixture
def qat(graph):
    return quantize_aware(graph, [images(8, 16)], engine="keras")


def arrays(graph):
    return [
        value for node in graph for value in vars(node).values() if isinstance(value, np.ndarray)
    ]


def assert_same(one, two, tolerance=0.0):
    """Two quantized graphs have the same weights and ranges."""
    assert one.ranges.keys() == two.ranges.keys()
    for name, ends in one.ranges.items():
        np.testing.assert_allclose(ends, two.ranges[name], rtol=tolerance, atol=tolerance)
    for ours, theirs in zip(arrays(one.graph), arrays(two.graph), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_both_engines_know_the_same_functions():
    assert keras_builder.FUNCTIONS.keys() == functions.FUNCTIONS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "size"), [(mixed_cnn, 16), (small_micronet, 32)], ids=["cnn", "micronet"]
)
def test_both_engines_are_the_same_before_and_after_training(model, size):
    graph, pixels, labels = lower(model()), images(8, size), np.arange(8) % CLASSES
    engines = [quantize_aware(graph, [pixels], engine) for engine in ("keras", "tfmot")]
    x = engines[0].preprocess(pixels)
    native, tfmot = (engine.quantized_graph() for engine in engines)
    assert_same(native, tfmot)
    outputs = [engine(x) for engine in engines]
    np.testing.assert_allclose(*outputs, atol=1e-6)
    losses = []
    for engine in engines:
        loss = engine.library.losses.SparseCategoricalCrossentropy(from_logits=True)
        engine.compile(engine.library.optimizers.SGD(0.01), loss, run_eagerly=True)
        losses.append(engine.fit(x, labels, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert losses[0][0] != losses[0][1]
    assert_same(*(engine.quantized_graph() for engine in engines), tolerance=1e-4)


def test_ranges_follow_the_batches_in_training_alone(qat):
    x = 3 * qat.preprocess(images(8, 16))
    before = qat.quantized_graph().ranges
    qat(x, training=False)
    assert qat.quantized_graph().ranges == before
    qat(x, training=True)
    after = qat.quantized_graph().ranges
    assert all(after[name] != before[name] for name in before)
    name = next(iter(before))
    assert before[name][1] < after[name][1] < 1.1 * before[name][1]


def test_a_channel_of_zeros_stays_zero_and_all_weights_have_gradients(graph):
    qat = quantize_aware(graph, [images(8, 16)], engine="keras")
    first = next(layer for layer in qat.layers if isinstance(layer, keras_builder.Weighted))
    kernel = keras.ops.convert_to_numpy(first.kernel).copy()
    kernel[..., 0] = 0
    first.kernel.assign(kernel)
    rounded = keras.ops.convert_to_numpy(first.rounded())
    assert not rounded[..., 0].any() and np.isfinite(rounded).all()
    largest = np.abs(kernel).max((0, 1, 2))
    assert np.abs(rounded - kernel).max() <= largest.max() / 254 + 1e-7
    steps = rounded[..., 1] / (largest[1] / 127)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(qat(qat.preprocess(images(8, 16)), training=True) ** 2)
    gradients = tape.gradient(value, [weight.value for weight in qat.trainable_weights])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.slow
def test_a_saved_training_goes_on(qat, tmp_path):
    x, labels = qat.preprocess(images(8, 16)), np.arange(8) % CLASSES
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    qat.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], run_eagerly=True)
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "qat.keras")
    qat.fit(x, labels, verbose=0, callbacks=[checkpoint])
    loaded = keras.saving.load_model(tmp_path / "qat.keras")
    assert_same(loaded.quantized_graph(), qat.quantized_graph())
    np.testing.assert_array_equal(loaded.preprocess(images(8, 16)), x)
    assert loaded.output_names == qat.output_names
    histories = [each.fit(x, labels, epochs=2, verbose=0).history for each in (qat, loaded)]
    assert histories[0] == histories[1]


@pytest.mark.slow
def test_outputs_are_called_what_the_model_calls_them():
    model = mixed_cnn()
    both = keras.Model(model.input, [model.output, model.layers[-2].output])
    qat = quantize_aware(both, [images(8, 16)], engine="keras")
    assert qat.output_names == both.output_names
    losses = dict.fromkeys(both.output_names, "mse")
    qat.compile("sgd", losses, metrics={"logits": "mae"}, run_eagerly=True)
    x = qat.preprocess(images(8, 16))
    history = qat.fit(x, qat.predict(x, verbose=0), verbose=0).history
    assert "logits_mae" in history


@pytest.mark.slow
def test_a_detector_is_packed_for_its_loss_and_becomes_int8():
    keras.utils.set_random_seed(0)
    detector = randomized(MicroNetObjectDetector(tiny_backbone((32, 32, 3)), 2, width=8, blocks=0))
    detector.compile()
    pixels = images(2)
    qat = quantize_aware(detector, [pixels], engine="keras")
    assert qat.output_shape == detector.output_shape
    objects = np.array([[[4, 2, 20, 25, 1]]] * 2, "float32")
    assert np.isfinite(detector.loss(objects, qat(qat.preprocess(pixels))))
    interpreter = Interpreter(convert(qat.quantized_graph()))
    assert len(interpreter.outputs) == len(detector.raw_outputs)


def test_an_unknown_engine_is_refused(graph):
    with pytest.raises(ValueError, match="engine must be one of .*keras.*Received: 'qkeras'"):
        quantize_aware(graph, [images(8, 16)], engine="qkeras")


# A loaded model computes and trains on the backend that the environment chooses.
ON_ANOTHER_BACKEND = """
import sys
import keras
import numpy as np
import micronet_keras

folder = sys.argv[1]
qat = keras.saving.load_model(f"{folder}/qat.keras")
data = np.load(f"{folder}/data.npz")
before = qat.predict(data["x"], verbose=0)
qat.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=keras.backend.backend() == "jax")
qat.fit(data["x"], list(data.values())[1:], epochs=2, shuffle=False, verbose=0)
after = qat.predict(data["x"], verbose=0)
np.savez(f"{folder}/found.npz", *before, *after)
print(keras.backend.backend())
"""


def every_function():
    """One model with all functions of the table."""
    names = (
        *("average_pool_same", "concatenate_channels", "crop", "squeeze_excite", "hard_swish"),
        *("leaky_relu", "max_pool_same", "maximum", "minimum", "permute", "reshape", "sigmoid"),
        *("softmax", "subtract", "tanh", "up_bilinear", "up_nearest", "zero_padding_other"),
        *("conv_dilated", "conv_grouped", "depthwise_multiplied", "reversed", "flatten", "clip"),
    )
    keras.utils.set_random_seed(3)
    image = keras.Input((9, 12, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", strides=2)(image)
    return randomized(keras.Model(image, [CASES[name](x) for name in names]))


@pytest.mark.slow
def test_every_function_is_the_same_in_both_engines():
    graph, x = lower(every_function(), normalization=None), numbers(8)
    native, tfmot = (quantize_aware(graph, [x], engine)(x) for engine in ("keras", "tfmot"))
    for ours, theirs in zip(native, tfmot, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_compute_and_train_the_same(backend, tmp_path):
    require(backend)
    x = numbers(8)
    qat = quantize_aware(lower(every_function(), normalization=None), [x], engine="keras")
    qat.save(tmp_path / "qat.keras")
    before = [keras.ops.convert_to_numpy(value) for value in qat(x)]
    targets = [value + 1 for value in before]
    np.savez(tmp_path / "data.npz", x=x, **{f"y{i}": y for i, y in enumerate(targets)})
    done = subprocess.run(
        [sys.executable, "-c", ON_ANOTHER_BACKEND, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == backend
    qat.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    qat.fit(x, targets, epochs=2, shuffle=False, verbose=0)
    wanted = [*before, *map(keras.ops.convert_to_numpy, qat(x))]
    with np.load(tmp_path / "found.npz") as found:
        for ours, theirs in zip(wanted, found.values(), strict=True):
            # A value between two steps may be rounded to either, and go on as such.
            step = (ours.max() - ours.min()) / 255
            assert np.abs(ours - theirs).mean() < step
