"""The networks that MicroNet is compared with."""

import keras
import numpy as np
import pytest

from micronet_keras.benchmark import NETWORKS, VARIANTS, build_network
from micronet_keras.benchmark.int8 import takes_pixels
from micronet_keras.lower.folding import PIXEL_SCALE, PIXEL_ZERO
from micronet_keras.models import ShuffleNetV2, count_madds, preprocess_input, with_stem_stride
from micronet_keras.tasks.figures import signal_to_noise
from micronet_mcu.errors import UserError


def test_shufflenet_costs_what_its_paper_says():
    model = ShuffleNetV2(0.5)
    assert round(model.count_params() / 1e6, 1) == 1.4
    assert count_madds(model).total == pytest.approx(41e6, rel=0.02)


def test_shufflenet_refuses_other_widths():
    with pytest.raises(ValueError, match="width"):
        ShuffleNetV2(0.7)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_of_a_suite(name):
    model = build_network(name, "as_published", (64, 64), 10, dropout=0.25)
    assert model.output_shape == (None, 10)
    normalizations = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in normalizations} == {0.9}
    (dropout,) = [x for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert dropout.rate == 0.25
    assert _smallest_map(model) == 2

    finer = build_network(name, "stem_stride1", (64, 64), 10, dropout=0.25)
    assert _smallest_map(finer) == 4
    assert [w.shape for w in finer.weights] == [w.shape for w in model.weights]


def _smallest_map(model):
    shapes = [x.output.shape for x in model.layers if not isinstance(x.output, list | tuple)]
    return min(shape[1] for shape in shapes if len(shape) == 4 and shape[1] > 1)


def test_a_model_without_convolution_has_no_stem():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Flatten()(image))
    with pytest.raises(ValueError, match="first convolution"):
        with_stem_stride(model, 1)


def test_variants_begin_with_the_network_as_it_is():
    assert next(iter(VARIANTS)) == "as_published"


def test_normalization_moves_into_the_first_convolution():
    """Exact inside; at the border the padding stands for grey."""
    model = build_network("shufflenet_v2_0.5", "as_published", (64, 64), 10, dropout=0.0)
    pixels = np.random.RandomState(0).randint(0, 256, (4, 64, 64, 3)).astype("float32")
    scaled = (pixels - np.float32(PIXEL_ZERO)) * np.float32(PIXEL_SCALE)
    expected = model(preprocess_input(pixels), training=False)
    found = takes_pixels(model)(scaled, training=False)
    assert signal_to_noise(np.array(expected), np.array(found)) > 35
    inside = [_after_stem(m, x)[:, 1:-1, 1:-1] for m, x in (
        (model, preprocess_input(pixels)), (takes_pixels(model), scaled))]  # fmt: skip
    np.testing.assert_allclose(*inside, atol=2e-5)


def _after_stem(model, images):
    return np.array(keras.Model(model.input, model.get_layer("stem_bn").output)(images))


def test_a_stem_with_a_bias_is_refused():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Conv2D(2, 3)(image))
    with pytest.raises(UserError, match="without bias"):
        takes_pixels(model)
