"""Losses, metrics and coders are known to Keras: saved and read again they say the same."""

import json

import keras
import numpy as np
import pytest

from micronet_keras.boxes import AnchorCoder, Level, PointCoder
from micronet_keras.losses import DetectionLoss, HeatmapLoss, SmoothedCrossentropy
from micronet_keras.metrics import BestMatch, KeypointAccuracy

LEVELS = [Level(4, 6, 8), Level(2, 3, 16)]
POINTS = PointCoder(LEVELS, largest=3.0, radius=1.0)
ANCHORS = AnchorCoder(LEVELS, positive=0.6, negative=0.3)
OBJECTS = np.array([[[2, 3, 20, 30, 1], [0, 0, 0, 0, -1]]], "float32")


def again(thing):
    """`thing` through the text that a saved model holds."""
    text = json.dumps(keras.saving.serialize_keras_object(thing))
    return keras.saving.deserialize_keras_object(json.loads(text))


def noise(*shape):
    return np.random.RandomState(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("coder", [POINTS, ANCHORS])
def test_coders_read_again_decode_and_assign_alike(coder):
    restored = again(coder)
    assert type(restored) is type(coder) and restored.levels == coder.levels
    assert restored.get_config() == coder.get_config()
    raw = noise(1, 30 * coder.per_place, 4)
    np.testing.assert_array_equal(restored.decode(raw), coder.decode(raw))
    valid = OBJECTS[..., 4] >= 0
    np.testing.assert_array_equal(
        restored.assign(OBJECTS[..., :4], valid), coder.assign(OBJECTS[..., :4], valid)
    )


@pytest.mark.parametrize(
    "loss, y_true, y_pred",
    [
        (SmoothedCrossentropy(0.2), np.array([1]), noise(1, 3)),
        (HeatmapLoss(1.5), np.array([[[2.0, 3.0, 1.0]]], "float32"), noise(1, 8, 8, 1)),
        (DetectionLoss(POINTS, "focal", "ciou", 3.0), OBJECTS, noise(1, 30, 6)),
        (DetectionLoss(ANCHORS), OBJECTS, noise(1, 270, 6)),
    ],
)
def test_losses_read_again_are_the_same(loss, y_true, y_pred):
    restored = again(loss)
    assert restored.get_config() == loss.get_config()
    assert float(restored(y_true, y_pred)) == float(loss(y_true, y_pred)) > 0


@pytest.mark.parametrize(
    "metric, y_true, y_pred",
    [
        (KeypointAccuracy(0.4), np.array([[[2.0, 3.0, 1.0]]], "float32"), noise(1, 8, 8, 1)),
        (BestMatch(POINTS), OBJECTS, noise(1, 30, 6)),
        (BestMatch(ANCHORS, name="match"), OBJECTS, noise(1, 270, 6)),
    ],
)
def test_metrics_read_again_are_the_same(metric, y_true, y_pred):
    restored = again(metric)
    assert restored.get_config() == metric.get_config()
    for one in (metric, restored):
        one.update_state(y_true, y_pred)
    assert float(restored.result()) == float(metric.result()) > 0
