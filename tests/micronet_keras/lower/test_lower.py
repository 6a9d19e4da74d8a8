"""Lowering: the graph computes what the Keras model computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_micronet import images, randomized, small_micronet

from micronet_keras.layers import DYShiftMax
from micronet_keras.lower import Graph, lower
from micronet_keras.lower.graph import Bound, Conv, DepthwiseConv, Gather, GlobalAveragePool, Input
from micronet_keras.lower.tensorflow import run
from micronet_keras.models import MicroNetM0, MicroNetM3, preprocess_input, pyramid_outputs
from micronet_mcu.errors import UserError


def noise(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def assert_same(model, graph, x, tolerance=1e-5):
    expected = model(x, training=False)
    for ours, theirs in zip(run(graph, x), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=1e-4)


@pytest.mark.parametrize("size", [32, 33, 47])
def test_small_model_is_the_same(size):
    model = small_micronet(size)
    assert_same(model, lower(model, normalization=None), noise(2, size, size, 3))


def test_softmax_and_feature_taps_are_the_same():
    model = small_micronet(classifier_activation="softmax")
    taps = [tap for name, tap in pyramid_outputs(model).items() if name in ("P2", "P3")]
    model = keras.Model(model.inputs, [*taps, *model.outputs])
    assert_same(model, lower(model, normalization=None), noise(2, 32, 32, 3))


def test_coefficients_at_both_ends_are_the_same():
    """As training makes them; int8 cannot reach the upper end, but float can."""
    model = small_micronet()
    for layer in model._flatten_layers():
        if isinstance(layer, DYShiftMax):
            kernel, _ = layer.coefficients.get_weights()
            ends = np.where(np.arange(kernel.shape[1]) % 2, 9.0, -9.0)
            layer.coefficients.set_weights([kernel, ends])
    assert_same(model, lower(model, normalization=None), noise(2, 32, 32, 3), tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("build, gathers", [(MicroNetM0, 9), (MicroNetM3, 20)])
def test_published_models_are_the_same_with_few_gathers(build, gathers):
    model = randomized(build(input_shape=(64, 64, 3), classes=10))
    graph = lower(model, normalization=None)
    assert_same(model, graph, noise(1, 64, 64, 3), tolerance=1e-4)
    assert sum(isinstance(node, Gather) for node in graph) == gathers


def test_pixels_enter_as_whole_numbers_and_the_inside_is_exact():
    """Only the first output row sees the padding, which stands for grey instead of zero."""
    model = small_micronet()
    stem = keras.Model(model.inputs, model.get_layer("stem_relu6").output)
    graph = lower(stem)
    pixels = images()
    assert graph.input.pixel_zero == 116
    x = (pixels.astype(np.float32) - graph.input.pixel_zero) * graph.input.pixel_scale
    expected = stem(preprocess_input(pixels), training=False)
    difference = np.abs(run(graph, x)[0] - expected)
    assert difference[:, 1:].max() < 1e-5
    assert 0 < difference[:, :1].max() < 0.5


def stock_model():
    x = inputs = keras.Input((17, 17, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("relu6")(x)
    y = keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1)(x)
    y = keras.layers.BatchNormalization(scale=False)(y)
    y = keras.layers.ReLU(6.0)(y)
    y = keras.layers.Conv2D(8, 1, groups=2)(y)
    y = keras.layers.Add()([x, y])
    y = keras.layers.GlobalAveragePooling2D(keepdims=True)(y)
    y = keras.layers.Flatten()(y)
    y = keras.layers.Dropout(0.5)(y)
    y = keras.layers.Dense(5, activation="softmax")(y)
    return randomized(keras.Model(inputs, y))


def test_stock_layers_are_the_same():
    model = stock_model()
    assert_same(model, lower(model, normalization=None), noise(2, 17, 17, 3))


def test_no_standalone_relu6_is_left():
    assert not any(isinstance(node, Bound) for node in lower(small_micronet()))


def refused(outputs_of, message, **options):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, outputs_of(inputs))
    with pytest.raises(UserError, match=message):
        lower(model, **options)


def test_graph_refuses_what_is_out_of_order():
    graph = Graph()
    graph.add(Input("image", (), (4, 4, 3)))
    with pytest.raises(ValueError, match="'image' twice"):
        graph.add(Input("image", (), (4, 4, 3)))
    with pytest.raises(ValueError, match="added first"):
        graph.add(GlobalAveragePool("pool", ("nowhere",)))


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("taps, step", [(1, 1), (3, 1), (3, 2), (5, 2), (7, 3), (5, 4)])
def test_zero_taps_move_the_padding(size, taps, step):
    """Against padding by k // 2 on both sides, written out."""
    from micronet_keras.lower.folding import centred

    kernel = noise(taps, 1, 2, 3)
    x = noise(1, size, 1, 2)
    padded = np.pad(x, ((0, 0), (taps // 2, taps // 2), (0, 0), (0, 0)))
    expected = tf.nn.conv2d(padded, kernel, (step, 1), "VALID")
    ours = tf.nn.conv2d(x, centred(kernel, (size, 1), (step, 1)), (step, 1), "SAME")
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_strided_kernels_get_one_zero_tap():
    graph = lower(small_micronet())
    shapes = {
        node.name: node.kernel.shape[:2] for node in graph if isinstance(node, Conv | DepthwiseConv)
    }
    assert shapes["stem/vertical"] == (4, 1)
    assert shapes["stem/horizontal"] == (1, 4)
    assert shapes["block2/depthwise/vertical"] == (6, 1)
    assert shapes["block3/depthwise/vertical"] == (3, 1)
