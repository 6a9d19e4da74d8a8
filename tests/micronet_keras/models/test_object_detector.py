"""The detectors: taps, shapes, weights of a classifier, costs, saving, and wrong arguments."""

import json

import keras
import numpy as np
import pytest
from stick_figures import tiny_backbone

from micronet_keras.boxes import AnchorCoder, Level, PointCoder
from micronet_keras.layers import PackLevels
from micronet_keras.layers.micro_block import MicroBlock
from micronet_keras.models import (
    MicroNetM0,
    MicroNetM1,
    MicroNetM2,
    MicroNetM3,
    MicroNetObjectDetector,
    count_madds,
    feature_maps,
    load_weights_file,
)
from micronet_mcu.decode import Selection

SMALL = {
    "light": {"width": 16, "blocks": 1, "kernel_size": 3, "strides": (8, 16, 32)},
    "retinanet": {"width": 8, "convolutions": 1},
}


def backbone(build=MicroNetM0, size=64, **kwargs):
    return build(input_shape=(size, size, 3), include_top=False, **kwargs)


def mobilenet(size=64):
    return keras.applications.MobileNetV3Small(
        input_shape=(size, size, 3), include_top=False, weights=None, include_preprocessing=False
    )


def raw_shapes(detector):
    return [tensor.shape for tensor in detector.raw_outputs]


@pytest.mark.parametrize("build", [MicroNetM0, MicroNetM1, MicroNetM2, MicroNetM3])
def test_every_micronet_has_taps_and_a_light_head(build):
    model = backbone(build)
    taps = feature_maps(model, (4, 8, 16, 32))
    assert [tap.shape[1] for tap in taps] == [16, 8, 4, 2]
    assert taps[3] is model.get_layer("head_relu6").output
    detector = MicroNetObjectDetector(model, classes=7)
    assert raw_shapes(detector) == [
        (None, 8, 8, 7),
        (None, 8, 8, 4),
        (None, 4, 4, 7),
        (None, 4, 4, 4),
    ]
    assert detector.output_shape == (None, 8 * 8 + 4 * 4, 7 + 4)
    # Every weight is on a way to the outputs: nothing stays untrained.
    used = {id(operation) for operation in detector.operations}
    assert all(id(block) in used for block in model.layers if isinstance(block, MicroBlock))


def test_other_backbones_are_tapped_alike():
    detector = MicroNetObjectDetector(mobilenet(), classes=3)
    assert [shape[1:3] for shape in raw_shapes(detector)[::2]] == [(8, 8), (4, 4)]
    # The narrow tensors behind the residual sums, and the last convolution.
    assert [tap.shape[-1] for tap in feature_maps(mobilenet(), (8, 16, 32))] == [24, 48, 576]


@pytest.mark.slow
def test_the_weights_of_a_classifier_fit(tmp_path):
    classifier = MicroNetM0(input_shape=(64, 64, 3), classes=5)
    classifier.save(tmp_path / "classifier.keras")
    detector = MicroNetObjectDetector(backbone(weights=tmp_path / "classifier.keras"), classes=2)
    for name in ("stem", "block1", "block6"):
        for ours, theirs in zip(
            detector.get_layer(name).weights, classifier.get_layer(name).weights, strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    # A classifier itself will do as a backbone, too: its head is left aside.
    direct = MicroNetObjectDetector(classifier, classes=2)
    assert "logits_dense" not in [layer.name for layer in direct.layers]
    assert direct.count_params() == detector.count_params()


@pytest.mark.slow
def test_costs_by_hand():
    model = backbone()
    with_head = MicroNetObjectDetector(
        model, classes=2, strides=(16,), width=16, blocks=1, kernel_size=3
    )
    # Stride 32: 2 x 2 places from 384 channels in 4 groups; stride 16: 4 x 4 places from 32.
    lateral = 4 * 384 // 4 * 16 + 16 * 32 // 4 * 16
    # Depthwise 3 x 1 to 32 channels and 1 x 3 to 64, squeeze to 16 in 8 groups, 2 + 4 outputs.
    tower = 16 * (3 * 32 + 3 * 64 + 64 // 8 * 16 + 16 * 6)
    assert count_madds(with_head).total == count_madds(model).total + lateral + tower


def test_the_first_scores_and_boxes():
    detector = MicroNetObjectDetector(backbone(), classes=4)
    image = np.random.RandomState(0).standard_normal((1, 64, 64, 3)).astype("float32")
    packed = keras.ops.convert_to_numpy(detector(image))
    assert packed.shape == (1, 64 + 16, 8)
    assert abs(1 / (1 + np.exp(-packed[..., :4].mean())) - 0.01) < 0.005
    boxes = keras.ops.convert_to_numpy(detector.coder.decode(packed[..., 4:]))
    sides = (boxes[..., 2:] - boxes[..., :2])[0]
    np.testing.assert_allclose(sides[:64].mean(), 32, rtol=0.3)
    np.testing.assert_allclose(sides[64:].mean(), 64, rtol=0.3)


def test_packing_keeps_places_and_anchors_in_order():
    random = np.random.RandomState(0)
    maps = [random.rand(2, 3, 4, n).astype("float32") for n in (9 * 5, 36)]
    packed = keras.ops.convert_to_numpy(PackLevels(5)(maps))
    assert packed.shape == (2, 3 * 4 * 9, 9)
    np.testing.assert_array_equal(packed[1, (2 * 4 + 1) * 9 + 7, :5], maps[0][1, 2, 1, 35:40])
    np.testing.assert_array_equal(packed[1, (2 * 4 + 1) * 9 + 7, 5:], maps[1][1, 2, 1, 28:32])


@pytest.mark.parametrize(
    "shapes", [[(2, 2, 3)], [(2, 2, 3), (2, 2, 8)], [(2, 2, 3), (2, 1, 4)], [(2, None, 3)] * 2]
)
def test_what_is_no_pair_of_maps_is_not_packed(shapes):
    with pytest.raises(ValueError, match="scores of 3 classes and boxes for every level"):
        PackLevels(3)([keras.Input(shape) for shape in shapes])


@pytest.mark.slow
@pytest.mark.parametrize("head", SMALL)
def test_detectors_load_again_exactly(head, tmp_path):
    detector = MicroNetObjectDetector(tiny_backbone((128, 128, 3)), 3, head=head, **SMALL[head])
    detector.save(tmp_path / "detector.keras")
    again = keras.saving.load_model(tmp_path / "detector.keras")
    image = np.random.RandomState(1).standard_normal((1, 128, 128, 3)).astype("float32")
    np.testing.assert_array_equal(detector(image), again(image))
    assert json.dumps(again.get_config()) == json.dumps(detector.get_config())
    assert again.classes == 3 and not again.compiled
    assert type(again.coder) is {"light": PointCoder, "retinanet": AnchorCoder}[head]
    assert again.coder.levels == detector.coder.levels
    assert [layer.name for layer in again.layers] == [layer.name for layer in detector.layers]


def test_frozen_backbones_and_precision_are_saved_too(tmp_path):
    features = tiny_backbone()
    features.trainable = False
    detector = MicroNetObjectDetector(features, 2, dtype="mixed_bfloat16", **SMALL["light"])
    assert detector.get_layer("p3_boxes").compute_dtype == "bfloat16"
    detector.save(tmp_path / "detector.keras")
    again = keras.saving.load_model(tmp_path / "detector.keras")
    assert again.get_layer("p3_boxes").compute_dtype == "bfloat16"
    assert len(again.trainable_weights) == len(detector.trainable_weights)
    assert len(again.trainable_weights) < len(again.weights) / 2


@pytest.mark.slow
def test_detectors_of_plain_functional_models_give_their_weights(tmp_path):
    """The form that detectors were saved in before they were a class of their own."""
    detector = MicroNetObjectDetector(tiny_backbone(), 2, **SMALL["light"])
    keras.Model(detector.input, list(detector.raw_outputs)).save(tmp_path / "plain.keras")
    other = MicroNetObjectDetector(tiny_backbone(), 2, **SMALL["light"])
    load_weights_file(other, tmp_path / "plain.keras")
    image = np.random.RandomState(1).standard_normal((1, 64, 64, 3)).astype("float32")
    np.testing.assert_array_equal(detector(image), other(image))


@pytest.mark.slow
def test_predictions_are_decoded_and_selected():
    detector = MicroNetObjectDetector(tiny_backbone(), 2, strides=(16,), width=8, blocks=0)
    detector.get_layer("p4_scores").bias.assign([-20.0, 3.0])
    images = np.zeros((3, 64, 64, 3), "float32")
    found = detector.predict(images, batch_size=2, verbose=0)
    assert len(found) == 3
    # Two strides to every side of 16 places, of which some hide others.
    assert 4 <= len(found[0]) < 16 and set(found[0].labels) == {1}
    np.testing.assert_allclose(found[0].scores, 1 / (1 + np.exp(-3)), atol=0.02)
    assert found[0].boxes.min() >= 0 and found[0].boxes.max() <= 64
    few = detector.predict(images, verbose=0, selection=Selection(max_detections=2))
    assert [len(image) for image in few] == [2, 2, 2]


def test_retinanet_has_five_levels_and_shares_its_towers():
    features = backbone(size=128)
    detector = MicroNetObjectDetector(features, 3, head="retinanet", width=8, convolutions=2)
    sides = (16, 8, 4, 2, 1)
    assert raw_shapes(detector) == [
        shape for side in sides for shape in ((None, side, side, 27), (None, side, side, 36))
    ]
    assert detector.coder.levels == tuple(Level(side, side, 128 // side) for side in sides)
    convolutions = [layer for layer in detector.layers if layer.name.startswith("scores_conv")]
    assert len(convolutions) == 2
    places = sum(side * side for side in sides)
    without = MicroNetObjectDetector(features, 3, head="retinanet", width=8, convolutions=0)
    extra = count_madds(detector).total - count_madds(without).total
    assert extra == 2 * places * 2 * 8 * 8 * 9


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"classes": 0}, "classes"),
        ({"width": 20}, "width=20"),
        ({"strides": (8, 32)}, "strides"),
        ({"blocks": -1}, "blocks"),
        ({"kernel_size": 4}, "kernel_size"),
        ({"head": "heavy"}, "heavy"),
        ({"head": "retinanet", "width": 0}, "width"),
    ],
)
def test_wrong_arguments(arguments, received):
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        MicroNetObjectDetector(tiny_backbone(), **{"classes": 2, **arguments})


def test_options_of_another_head_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'convolutions'"):
        MicroNetObjectDetector(tiny_backbone(), 2, convolutions=3)


def test_wrong_backbones():
    with pytest.raises(ValueError, match="divisible by 32. Received"):
        MicroNetObjectDetector(backbone(size=72), 2)
    with pytest.raises(ValueError, match="divisible by 32. Received"):
        MicroNetObjectDetector(MicroNetM0(input_shape=(None, None, 3), include_top=False), 2)
    with pytest.raises(ValueError, match="128 x 128. Received"):
        MicroNetObjectDetector(tiny_backbone(), 2, head="retinanet")
    image = keras.Input((64, 64, 3))
    plain = keras.Model(image, keras.layers.Conv2D(4, 3, 2, "same")(image))
    with pytest.raises(ValueError, match="strides .* Received"):
        MicroNetObjectDetector(plain, 2)
