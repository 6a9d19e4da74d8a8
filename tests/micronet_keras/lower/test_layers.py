"""Every layer, operator and form that is lowered: in float, in int8 on TFLM, and in training."""

import keras
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from keras import layers as K
from keras_models import CASES, assert_same, build, chain, decibels, numbers, on_tflm

from micronet_keras.lower import lower
from micronet_keras.lower.layer_rules import RULES, inert
from micronet_keras.lower.pieces import ACTIVATIONS
from micronet_keras.quantize import (
    QuantizedGraph,
    convert,
    post_training_quantize,
    quantize_aware,
)

# What image models are made of.
PROMISED = [
    "Rescaling",
    "Normalization",
    "CenterCrop",
    "Resizing",
    "Dropout",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "ActivityRegularization",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
    "Conv1D",
    "Conv2D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "Conv2DTranspose",
    "ZeroPadding2D",
    "Cropping2D",
    "MaxPooling2D",
    "AveragePooling2D",
    "GlobalMaxPooling2D",
    "GlobalAveragePooling2D",
    "BatchNormalization",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "Softmax",
    "Add",
    "Subtract",
    "Multiply",
    "Average",
    "Maximum",
    "Minimum",
    "Concatenate",
    "Reshape",
    "Permute",
    "Flatten",
    "UpSampling2D",
    "Dense",
]
PROMISED_ACTIVATIONS = [
    "relu",
    "relu6",
    "leaky_relu",
    "hard_silu",
    "hard_sigmoid",
    "sigmoid",
    "silu",
    "tanh",
    "softmax",
    "linear",
]


def test_the_layers_that_image_models_are_made_of_are_all_lowered():
    assert {getattr(K, name) for name in PROMISED} <= RULES.keys()
    assert set(PROMISED_ACTIVATIONS) <= ACTIVATIONS.keys()


@pytest.mark.parametrize("ended", [True, False], ids=["before_dense", "as_output"])
@pytest.mark.parametrize("name", CASES)
def test_the_graph_computes_what_keras_does(name, ended):
    assert_same(build(name, ended), numbers())


@settings(max_examples=15)
@given(st.lists(st.sampled_from(sorted(CASES)), min_size=2, max_size=6), st.integers(1, 4))
def test_layers_in_any_order_are_the_same(names, channels):
    try:
        model = chain(names, channels)
    except ValueError:  # A shape that Keras itself does not take, for a reshape for instance.
        reject()
    assert_same(model, numbers(channels=channels))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_int8_on_tflm_and_training_are_near_to_float(name, tmp_path):
    model, x = build(name, ended=False), numbers(16)
    expected = keras.ops.convert_to_numpy(model(x, training=False))
    graph = lower(model, normalization=None)
    quantized = post_training_quantize(graph, [x])
    quantized.save(tmp_path / "model.npz")
    loaded = QuantizedGraph.load(tmp_path / "model.npz")
    assert decibels(expected, on_tflm(convert(loaded), x)) > 25
    qat = quantize_aware(graph, [x])
    assert decibels(expected, qat(x).numpy()) > 25
    qat.compile("sgd", "mse", run_eagerly=True)
    qat.fit(x, expected, verbose=0)
    trained = qat.quantized_graph()
    assert decibels(expected, on_tflm(convert(trained), x)) > 15


@pytest.mark.parametrize("layer", [kind for kind, rule in RULES.items() if rule is inert])
def test_inert_layers_do_nothing_at_inference(layer):
    arguments = {
        K.RandomColorJitter: ((0, 255), 0.5, 0.5, 0.5, 0.5),
        K.RandomPosterization: (4,),
        K.RandomTranslation: (0.2, 0.2),
    }
    plain = ("ActivityRegularization", "AugMix", "CutMix", "Identity", "MixUp", "RandAugment")
    free = ("RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur")
    free += ("RandomGrayscale", "RandomInvert", "RandomPerspective")
    usual = () if layer.__name__ in plain + free else (0.5,)
    image = keras.Input((8, 3) if layer is K.SpatialDropout1D else (8, 8, 3))
    model = keras.Model(image, layer(*arguments.get(layer, usual))(image))
    x = np.random.default_rng(0).uniform(0, 255, (2, *image.shape[1:])).astype("float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)


def test_a_batch_norm_after_a_convolution_and_a_hard_sigmoid_cost_nothing():
    x = image = keras.Input((8, 8, 3))
    x = K.BatchNormalization()(K.Conv2D(4, 3, padding="same")(x))
    x = K.ReLU(6.0)(x + 3.0) * (1 / 6)
    graph = lower(keras.Model(image, x), normalization=None)
    assert [type(node).__name__ for node in graph] == ["Input", "Conv"]
    assert graph[graph.outputs[0]].clip == (0, 1)


def test_padding_as_keras_applications_write_it_is_same_padding():
    x = image = keras.Input((8, 8, 3))
    x = K.ZeroPadding2D(((0, 1), (0, 1)))(x)
    graph = lower(keras.Model(image, K.Conv2D(4, 3, strides=2)(x)), normalization=None)
    assert [type(node).__name__ for node in graph] == ["Input", "Conv"]
    assert graph[graph.outputs[0]].padding == "same"
