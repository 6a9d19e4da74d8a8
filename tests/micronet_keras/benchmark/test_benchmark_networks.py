"""The networks that MicroNet is compared with."""

import keras
import pytest

from micronet_keras.benchmark import NETWORKS, VARIANTS, build_network
from micronet_keras.models import ShuffleNetV2, count_madds, with_stem_stride
from micronet_keras.quantize import check


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
    assert check(model) == check(finer) == ()


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
