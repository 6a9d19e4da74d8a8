"""The detectors: taps, shapes, weights of a classifier, costs, saving, and wrong arguments."""

import keras
import numpy as np
import pytest

from micronet_keras.detection import (
    AnchorCoder,
    PointCoder,
    class_count,
    coder_of,
    feature_maps,
    light_detector,
    pack,
    retinanet,
)
from micronet_keras.layers.micro_block import MicroBlock
from micronet_keras.models import (
    MicroNetM0,
    MicroNetM1,
    MicroNetM2,
    MicroNetM3,
    count_madds,
)


def backbone(build=MicroNetM0, size=64, **kwargs):
    return build(input_shape=(size, size, 3), include_top=False, **kwargs)


def mobilenet(size=64):
    return keras.applications.MobileNetV3Small(
        input_shape=(size, size, 3), include_top=False, weights=None, include_preprocessing=False
    )


@pytest.mark.parametrize("build", [MicroNetM0, MicroNetM1, MicroNetM2, MicroNetM3])
def test_every_micronet_has_taps_and_a_light_head(build):
    model = backbone(build)
    taps = feature_maps(model, (4, 8, 16, 32))
    assert [tap.shape[1] for tap in taps] == [16, 8, 4, 2]
    assert taps[3] is model.get_layer("head_relu6").output
    detector = light_detector(model, classes=7)
    assert detector.output_shape == [
        (None, 8, 8, 7),
        (None, 8, 8, 4),
        (None, 4, 4, 7),
        (None, 4, 4, 4),
    ]
    # Every weight is on a way to the outputs: nothing stays untrained.
    used = {id(operation) for operation in detector.operations}
    assert all(id(block) in used for block in model.layers if isinstance(block, MicroBlock))


def test_other_backbones_are_tapped_alike():
    detector = light_detector(mobilenet(), classes=3)
    assert [shape[1:3] for shape in detector.output_shape[::2]] == [(8, 8), (4, 4)]
    # The narrow tensors behind the residual sums, and the last convolution.
    assert [tap.shape[-1] for tap in feature_maps(mobilenet(), (8, 16, 32))] == [24, 48, 576]


def test_the_weights_of_a_classifier_fit(tmp_path):
    classifier = MicroNetM0(input_shape=(64, 64, 3), classes=5)
    classifier.save(tmp_path / "classifier.keras")
    detector = light_detector(backbone(weights=tmp_path / "classifier.keras"), classes=2)
    for name in ("stem", "block1", "block6"):
        for ours, theirs in zip(
            detector.get_layer(name).weights, classifier.get_layer(name).weights, strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    # A classifier itself will do as a backbone, too: its head is left aside.
    direct = light_detector(classifier, classes=2)
    assert "logits_dense" not in [layer.name for layer in direct.layers]


def test_costs_by_hand():
    model = backbone()
    with_head = light_detector(model, classes=2, strides=(16,), width=16, blocks=1, kernel_size=3)
    # Stride 32: 2 x 2 places from 384 channels in 4 groups; stride 16: 4 x 4 places from 32.
    lateral = 4 * 384 // 4 * 16 + 16 * 32 // 4 * 16
    # Depthwise 3 x 1 to 32 channels and 1 x 3 to 64, squeeze to 16 in 8 groups, 2 + 4 outputs.
    tower = 16 * (3 * 32 + 3 * 64 + 64 // 8 * 16 + 16 * 6)
    assert count_madds(with_head).total == count_madds(model).total + lateral + tower


def test_the_first_scores_and_boxes():
    detector = light_detector(backbone(), classes=4)
    image = np.random.RandomState(0).standard_normal((1, 64, 64, 3)).astype("float32")
    packed = keras.ops.convert_to_numpy(pack(detector(image), 4))
    assert packed.shape == (1, 64 + 16, 8)
    assert abs(1 / (1 + np.exp(-packed[..., :4].mean())) - 0.01) < 0.005
    boxes = keras.ops.convert_to_numpy(coder_of(detector).decode(packed[..., 4:]))
    sides = (boxes[..., 2:] - boxes[..., :2])[0]
    np.testing.assert_allclose(sides[:64].mean(), 32, rtol=0.3)
    np.testing.assert_allclose(sides[64:].mean(), 64, rtol=0.3)


@pytest.mark.parametrize("kind", [light_detector, retinanet])
def test_detectors_load_again_exactly(kind, tmp_path):
    small = {"width": 16} | ({"convolutions": 1} if kind is retinanet else {"blocks": 1})
    detector = kind(backbone(size=128), 3, **small)
    detector.save(tmp_path / "detector.keras")
    again = keras.saving.load_model(tmp_path / "detector.keras", compile=False)
    image = np.random.RandomState(1).standard_normal((1, 128, 128, 3)).astype("float32")
    for one, other in zip(detector(image), again(image), strict=True):
        np.testing.assert_array_equal(one, other)
    assert class_count(again) == 3
    assert isinstance(coder_of(again), AnchorCoder if kind is retinanet else PointCoder)


def test_retinanet_has_five_levels_and_shares_its_towers():
    detector = retinanet(backbone(size=128), 3, width=8, convolutions=2)
    sides = (16, 8, 4, 2, 1)
    assert detector.output_shape == [
        shape for side in sides for shape in ((None, side, side, 27), (None, side, side, 36))
    ]
    convolutions = [layer for layer in detector.layers if layer.name.startswith("scores_conv")]
    assert len(convolutions) == 2
    tower = 2 * 8 * 8 * 9 + 8 * 27 * 9
    places = sum(side * side for side in sides)
    without = retinanet(backbone(size=128), 3, width=8, convolutions=0)
    extra = count_madds(detector).total - count_madds(without).total
    assert extra == 2 * places * 2 * 8 * 8 * 9 and tower == 2 * 576 + 1944


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"classes": 0}, "classes"),
        ({"width": 20}, "width=20"),
        ({"strides": (8, 32)}, "strides"),
        ({"blocks": -1}, "blocks"),
        ({"kernel_size": 4}, "kernel_size"),
    ],
)
def test_wrong_arguments_of_the_light_head(arguments, received):
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        light_detector(backbone(), **{"classes": 2, **arguments})


def test_wrong_backbones():
    with pytest.raises(ValueError, match="divisible by 32. Received"):
        light_detector(backbone(size=72), 2)
    with pytest.raises(ValueError, match="divisible by 32. Received"):
        light_detector(MicroNetM0(input_shape=(None, None, 3), include_top=False), 2)
    with pytest.raises(ValueError, match="128 x 128. Received"):
        retinanet(backbone(), 2)
    image = keras.Input((64, 64, 3))
    plain = keras.Model(image, keras.layers.Conv2D(4, 3, 2, "same")(image))
    with pytest.raises(ValueError, match="strides .* Received"):
        light_detector(plain, 2)
    with pytest.raises(ValueError, match="A detector has"):
        coder_of(backbone())
