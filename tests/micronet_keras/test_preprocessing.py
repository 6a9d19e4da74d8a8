"""`preprocessing="none"`: models take pixels 0 to 255, in training as on microcontrollers."""

import dataclasses

import keras
import numpy as np
import pytest
from tiny_tasks import CASES, grounds

from micronet_keras.compare import compare
from micronet_keras.models import preprocess_input
from micronet_keras.quantize import QuantizeConfig, convert, quantize
from micronet_keras.tasks import CLASSIFICATION, ClassificationConfig, TrainConfig, replace
from micronet_keras.train import train
from micronet_mcu import read_model

CONFIG = ClassificationConfig(
    training=TrainConfig(
        image_size=32, batch_size=8, epochs=1, learning_rate=1e-9, weight_decay=0.0,
        preprocessing="none",
    ),
)  # fmt: skip


def brightness():
    """Logits for "dark" and "bright" that are right for pixels 0 to 255, and for those alone."""
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(1, 1, name="mean")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(x), name="brightness")
    model.get_layer("mean").set_weights([np.full((1, 1, 3, 1), 1 / 3), np.array([-128.0])])
    model.get_layer("logits").set_weights([np.array([[-0.1, 0.1]]), np.zeros(2)])
    return model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, source, result)"""
    folder, source = tmp_path_factory.mktemp("pixels") / "run", grounds()
    return folder, source, train(CLASSIFICATION, brightness(), source, CONFIG, folder)


@pytest.mark.slow
def test_training_and_its_figures_are_of_pixels(run, tmp_path):
    _, source, result = run
    (epoch,) = result.history
    assert epoch["accuracy"] == epoch["val_accuracy"] == 1
    assert result.summary["test_accuracy"] == 1
    # ImageNet's normalization would leave nothing above 128.
    scaled = replace(CONFIG, preprocessing="imagenet")
    other = train(CLASSIFICATION, brightness(), source, scaled, tmp_path / "scaled")
    assert other.history[0]["val_accuracy"] == other.summary["test_accuracy"] == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 1])
def test_int8_takes_pixels_and_says_the_same(run, epochs):
    folder, source, _ = run
    settings = QuantizeConfig(epochs=epochs, batch_size=8, calibration_images=16)
    flatbuffer = convert(quantize(folder, settings, source=source, verbose=0))
    model = read_model(flatbuffer)
    image = model.tensors[model.inputs[0]]
    # What is stored is pixel - 128, whatever the calibration images were.
    assert (float(image.scale[0]), int(image.zero_point[0])) == (1.0, -128)
    result = compare(folder, flatbuffer, source=source)
    assert result.summary["float_accuracy"] == result.summary["int8_accuracy"] == 1
    outputs = [result.measured[form].outputs for form in ("float", "int8")]
    assert np.abs(outputs[0]).max() > 2
    np.testing.assert_allclose(outputs[1], outputs[0], atol=0.2)


def spelled_out(predictions):
    return np.concatenate([np.ravel(value) for one in predictions for value in _arrays(one)])


def _arrays(prediction):
    return vars(prediction).values() if dataclasses.is_dataclass(prediction) else [prediction]


@pytest.mark.parametrize("name", CASES)
def test_figures_of_every_task_are_of_pixels(name):
    """A model with its normalization inside, on pixels, is the same as one without on its own."""
    case = CASES[name]
    bare = case.build()
    if name == "detection":
        # Scores that are worth being looked at.
        bare.get_layer("p3_scores").bias.assign([0.0, 0.0])
    image = keras.Input(bare.input_shape[1:])
    whole = keras.Model(image, bare(preprocess_input(image)))
    whole.coder = getattr(bare, "coder", None)
    pixels = np.random.RandomState(0).randint(0, 256, (3, *bare.input_shape[1:])).astype("uint8")
    on_pixels = replace(case.config, preprocessing="none")
    expected = spelled_out(case.task.predictor(bare, case.config)(pixels))
    found = spelled_out(case.task.predictor(whole, on_pixels)(pixels))
    assert len(expected) > 3
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    twice = spelled_out(case.task.predictor(whole, case.config)(pixels))
    assert len(twice) != len(expected) or np.abs(twice - expected).max() > 0.01
