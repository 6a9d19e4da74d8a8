"""The small networks that others publish cost what is published, and can be lowered."""

import pytest

from micronet_keras.models import DSCNN, ResNet8, ShuffleNetV2, SqueezeNet, count_madds
from micronet_keras.quantize import check


@pytest.mark.parametrize(
    ("build", "parameters", "madds"),
    [(DSCNN, 24_908, 2.66e6), (ResNet8, 78_666, 12.5e6), (SqueezeNet, 1_235_496, 349e6)],
)
def test_they_cost_what_is_published(build, parameters, madds):
    model = build()
    assert model.count_params() == parameters
    assert count_madds(model).total == pytest.approx(madds, rel=2e-3)
    assert check(model) == ()


def test_shufflenet_can_be_lowered():
    assert check(ShuffleNetV2(0.5, (64, 64, 3), 10)) == ()


@pytest.mark.parametrize("build", [DSCNN, ResNet8, SqueezeNet])
def test_a_classifier_without_classes_is_refused(build):
    with pytest.raises(ValueError, match="classes.*Received.*0"):
        build(classes=0)
