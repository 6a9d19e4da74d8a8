"""Bilinear upsampling is the same in Keras, in the lowered graph and in int8 on TFLM."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from micronet_keras.layers import ChannelShuffle, MicroFactorizedPointwiseConv2D
from micronet_keras.lower import lower
from micronet_keras.lower.graph import Gather, ResizeBilinear
from micronet_keras.lower.tensorflow import run
from micronet_keras.quantize import convert, post_training_quantize, quantize_aware
from micronet_mcu import read_model
from micronet_mcu.to_tflm import Interpreter


def model(size=(2, 2), shape=(6, 4, 3)):
    """A convolution, a shuffle, an enlargement, and something that reads its channels."""
    keras.utils.set_random_seed(1)
    image = keras.Input(shape)
    x = keras.layers.Conv2D(8, 1, use_bias=True)(image)
    x = ChannelShuffle(2)(x)
    x = keras.layers.UpSampling2D(size, interpolation="bilinear", name="upsample")(x)
    x = MicroFactorizedPointwiseConv2D(6, name="mix")(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1)(x))


@pytest.mark.parametrize("size", [(2, 2), (3, 1)])
def test_the_graph_computes_what_keras_does(size):
    network = model(size)
    images = np.random.RandomState(0).standard_normal((2, 6, 4, 3)).astype("float32")
    graph = lower(network, normalization=None)
    assert [node.factors for node in graph if isinstance(node, ResizeBilinear)] == [size]
    # The shuffle went through the enlargement into the weights of the next convolution.
    assert not any(isinstance(node, Gather) for node in graph)
    (answer,) = run(graph, tf.constant(images))
    np.testing.assert_allclose(answer, network(images), atol=1e-5)


@pytest.mark.slow
def test_int8_on_tflm_is_near_to_float():
    network = model()
    pixels = np.random.RandomState(0).randint(0, 256, (8, 6, 4, 3)).astype("uint8")
    graph = lower(network)
    flatbuffer = convert(post_training_quantize(graph, [pixels]))
    names = [operator.name for operator in read_model(flatbuffer).operators]
    assert names == ["CONV_2D", "RESIZE_BILINEAR", "CONV_2D", "CONV_2D"]
    (expected,) = run(graph, (tf.cast(pixels, tf.float32) - 116) * graph.input.pixel_scale)
    answer = Interpreter(flatbuffer).predict(pixels)
    assert np.abs(answer - expected).max() < 0.05 * np.abs(expected).max()


def test_quantization_aware_training_has_it_too():
    pixels = np.random.RandomState(0).randint(0, 256, (8, 6, 4, 3)).astype("uint8")
    graph = lower(model())
    qat = quantize_aware(graph, [pixels])
    (expected,) = run(graph, qat.preprocess(pixels))
    assert np.abs(qat(qat.preprocess(pixels)) - expected).max() < 0.05 * np.abs(expected).max()


def test_other_interpolations_are_named():
    image = keras.Input((8, 8, 3))
    x = keras.layers.UpSampling2D(2, interpolation="bicubic", name="enlarge")(image)
    with pytest.raises(ValueError, match="enlarge"):
        lower(keras.Model(image, x), normalization=None)
