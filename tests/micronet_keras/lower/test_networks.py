"""Whole networks, of Keras and for comparisons: equal in float, and they run in int8 on TFLM."""

import functools

import keras
import numpy as np
import pytest
from keras_models import decibels, on_tflm

from micronet_keras import models
from micronet_keras.lower import lower
from micronet_keras.lower.tensorflow import run
from micronet_keras.quantize import convert, post_training_quantize

SIZE = 64
FOR_COMPARISON = {
    "DS-CNN": models.DSCNN,
    "ResNet-8": models.ResNet8,
    "ShuffleNetV2": functools.partial(models.ShuffleNetV2, 0.5),
    "SqueezeNet": models.SqueezeNet,
}
APPLICATIONS = {
    "MobileNet": ("MobileNet", {"alpha": 0.25}),
    "MobileNetV2": ("MobileNetV2", {"alpha": 0.35}),
    "MobileNetV3Small": ("MobileNetV3Small", {}),
    "MobileNetV3Small minimalistic": ("MobileNetV3Small", {"minimalistic": True}),
    "MobileNetV3Large": ("MobileNetV3Large", {}),
    "MobileNetV3Large minimalistic": ("MobileNetV3Large", {"minimalistic": True}),
    "EfficientNetB0": ("EfficientNetB0", {}),
    "ResNet50": ("ResNet50", {}),
}


def build(name: str) -> keras.Model:
    """The network on pixels."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIZE, SIZE, 3))
    if name in FOR_COMPARISON:
        network = FOR_COMPARISON[name](input_shape=(SIZE, SIZE, 3), classes=10)
        return keras.Model(pixels, network(pixels / 127.5 - 1.0))
    kind, options = APPLICATIONS[name]
    x = pixels if kind[:11] in ("MobileNetV3", "EfficientNe") else pixels / 127.5 - 1.0
    options = {**options, "classes": 10, "classifier_activation": None, "weights": None}
    network = getattr(keras.applications, kind)(input_shape=(SIZE, SIZE, 3), **options)
    return keras.Model(pixels, network(x))


def pictures(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, SIZE // 8, SIZE // 8, 3)).repeat(8, 1).repeat(8, 2)
    return np.clip(coarse + random.normal(0, 20, coarse.shape), 0, 255).astype(np.uint8)


def normalized(model: keras.Model) -> keras.Model:
    """With the batch norms' statistics near those of pictures: else nothing reaches the end."""
    random = np.random.default_rng(0)
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms:
        layer.momentum = 0.0
    model(pictures(32, seed=1).astype("float32"), training=True)
    for layer in norms:
        gamma, beta, mean, variance = layer.get_weights()
        shape = gamma.shape
        layer.set_weights(
            [
                gamma * random.uniform(0.7, 1.3, shape),
                beta + random.normal(0, 0.2, shape),
                mean + random.normal(0, 0.1, shape) * np.sqrt(variance),
                variance * random.uniform(0.8, 1.2, shape),
            ]
        )
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", [*APPLICATIONS, *FOR_COMPARISON])
def test_networks_are_the_same_in_float(name, record_property):
    model = normalized(build(name))
    images = pictures(4).astype("float32")
    expected = model.predict(images, verbose=0)
    graph = lower(model, normalization=None)
    difference = np.abs(run(graph, images)[0] - expected).max() / np.abs(expected).max()
    record_property("float_difference", f"{difference:.1e}")
    assert difference < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [("MobileNetV2", 6), ("MobileNetV3Small minimalistic", 12), ("ShuffleNetV2", 10)],
)
def test_networks_run_on_tflm(name, least, record_property):
    """Untrained as they are, they carry noise much further than trained ones: 11 and 19 dB here."""
    model = normalized(build(name))
    images = pictures(16).astype("float32")
    quantized = post_training_quantize(lower(model, normalization=None), [images])
    expected = model.predict(images[:4], verbose=0)
    measured = decibels(expected, on_tflm(convert(quantized), images[:4]))
    record_property("decibels", f"{measured:.1f}")
    assert measured > least
