"""Losses and metrics of detection and keypoints, against cases worked by hand."""

import math

import keras
import numpy as np
import pytest

from micronet_keras import losses, metrics
from micronet_keras.boxes import Level, PointCoder
from micronet_keras.losses import HeatmapLoss, gaussians
from micronet_keras.metrics import KeypointAccuracy


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def two_levels():
    return PointCoder([Level(4, 4, 8), Level(2, 2, 16)], largest=2.0, radius=1.5)


def test_focal_loss_by_hand():
    loss = numbers(losses.focal_loss(np.array([1.0, 0.0]), np.array([0.0, 0.0])))
    # p = 1/2: weights 1/4 and 3/4, damping 1/4, cross-entropy log 2.
    np.testing.assert_allclose(loss, [0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)], 1e-5)


def test_varifocal_loss_by_hand():
    loss = numbers(losses.varifocal_loss(np.array([0.8, 0.0]), np.array([0.0, 0.0])))
    # Cross-entropy of any target with p = 1/2 is log 2.
    np.testing.assert_allclose(loss, [0.8 * math.log(2), 0.75 * 0.25 * math.log(2)], 1e-5)


def assigned(coder, *objects):
    rows = np.array([objects], "float32")
    return numbers(coder.assign(rows, np.ones(rows.shape[:2], bool)))[0]


def perfect(coder, boxes, labels, classes, places):
    """Packed outputs that say exactly the objects at the places that are for them."""
    matched = assigned(coder, *boxes)
    packed = np.zeros((1, places, classes + 4), "float32")
    packed[..., :classes] = -30
    centres = np.concatenate([level.centres() for level in coder.levels])
    strides = np.repeat(
        [v.stride for v in coder.levels], [v.height * v.width for v in coder.levels]
    )
    for place in np.flatnonzero(matched >= 0):
        top, left, bottom, right = boxes[matched[place]]
        y, x = centres[place]
        distances = np.array([y - top, x - left, bottom - y, right - x]) / strides[place]
        packed[0, place, classes:] = np.log(np.expm1(distances))
        packed[0, place, labels[matched[place]]] = 30
    return packed


@pytest.mark.parametrize("class_loss", losses.CLASS_LOSSES)
@pytest.mark.parametrize("box_loss", losses.BOX_LOSSES)
def test_a_perfect_answer_costs_nothing_and_a_wrong_one_does(class_loss, box_loss):
    coder = two_levels()
    boxes, labels = [(0, 0, 16, 16), (4, 16, 30, 31)], [2, 0]
    packed = perfect(coder, boxes, labels, classes=3, places=20)
    truth = np.array([[[*b, label] for b, label in zip(boxes, labels, strict=True)]], "float32")
    truth = np.concatenate([truth, [[[0, 0, 0, 0, -1]]]], axis=1).astype("float32")
    loss = losses.DetectionLoss(coder, class_loss, box_loss)
    assert float(loss(truth, packed)) == pytest.approx(0, abs=1e-3)
    swapped = packed.copy()
    swapped[..., [0, 2]] = packed[..., [2, 0]]
    assert float(loss(truth, swapped)) > 1
    metric = metrics.BestMatch(coder)
    metric.update_state(truth, packed)
    assert float(metric.result()) == pytest.approx(1, abs=1e-3)
    metric.reset_state()
    metric.update_state(truth, swapped)
    assert float(metric.result()) < 0.01


def test_images_without_objects_have_a_finite_loss():
    truth = np.array([[[0, 0, 0, 0, -1]]], "float32")
    loss = losses.DetectionLoss(two_levels())
    assert np.isfinite(float(loss(truth, np.zeros((1, 20, 7), "float32"))))


def test_unknown_losses_are_refused():
    with pytest.raises(ValueError, match="Received: 'l1'"):
        losses.DetectionLoss(two_levels(), box_loss="l1")


def test_loss_of_nothing_is_one_and_of_the_truth_zero():
    truth = np.array([[[4.2, 5.1, 1], [7.7, 6.0, 1], [1.0, 1.0, 0]]], "float32")
    loss = HeatmapLoss(sigma=1.0)
    maps = np.array(gaussians(truth, (16, 12), 1.0))
    assert maps.shape == (1, 16, 12, 3)
    assert float(loss(truth, maps)) == 0
    assert float(loss(truth, 0 * maps)) == pytest.approx(1, abs=1e-3)
    maps[..., 2] = 100  # Of weight 0.
    assert float(loss(truth, maps)) == 0
    # By hand: one cell of the first map wrong by 2, shared between two keypoints.
    maps[0, 0, 11, 0] += 2
    assert float(loss(truth, maps)) == pytest.approx(4 / np.pi / 2, rel=1e-4)
    assert keras.losses.deserialize(keras.losses.serialize(loss)).sigma == 1.0


def test_accuracy_counts_near_peaks_of_labelled_keypoints():
    truth = np.array([[[4.5, 5.5, 1], [9.5, 6.5, 1], [1.5, 1.5, 0], [2.5, 9.5, 1]]], "float32")
    maps = np.array(gaussians(truth, (20, 12), 1.0))
    maps[0, :, :, 1] = np.roll(maps[0, :, :, 1], 1, axis=0)  # Off by one cell: within 5 % of 20.
    maps[0, :, :, 3] = np.roll(maps[0, :, :, 3], 2, axis=1)
    maps[..., 2] = 0
    metric = KeypointAccuracy()
    metric.update_state(truth, maps)
    assert float(metric.result()) == pytest.approx(2 / 3)
    assert KeypointAccuracy.from_config(KeypointAccuracy(0.1).get_config()).share == 0.1


@pytest.mark.parametrize("build", [HeatmapLoss, KeypointAccuracy])
def test_widths_and_shares_that_are_not_positive_are_refused(build):
    with pytest.raises(ValueError, match="Received"):
        build(0.0)
