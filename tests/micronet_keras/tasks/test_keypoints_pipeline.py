"""Crops: coordinates exact to a fraction of a pixel, epochs repeatable, left and right kept."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from stick_figures import encoded, figure_record, figures, source_of

from micronet_keras.keypoints import (
    KeypointConfig,
    load_people,
)
from micronet_keras.keypoints.crop import crop_image, crop_matrix, into_crop, into_image
from micronet_keras.keypoints.pipeline import eval_batches, train_batches
from micronet_keras.losses import HeatmapLoss, gaussians
from micronet_keras.metrics import KeypointAccuracy
from micronet_mcu.errors import UserError

CONFIG = KeypointConfig(image_size=96, image_width=64, batch_size=4, epochs=2, warmup_epochs=0)


def test_points_go_into_the_crop_and_back():
    box = tf.constant([10.0, 20.0, 50.0, 90.0])
    matrix = crop_matrix(box, (96, 64), zoom=1.2, angle=0.4, mirror=True)
    points = np.random.RandomState(0).uniform(0, 100, (5, 2)).astype("float32")
    back = into_image(into_crop(points, matrix).numpy()[None], matrix.numpy()[None])[0]
    np.testing.assert_allclose(back, points, atol=1e-3)
    # The middle of the box is the middle of the crop, and the box fits with a quarter to spare.
    np.testing.assert_allclose(
        into_crop(tf.constant([[30.0, 55.0]]), matrix), [[32, 48]], atol=1e-4
    )
    upright = crop_matrix(box, (96, 64))
    corners = into_crop(tf.constant([[10.0, 20.0], [50.0, 90.0]]), upright).numpy()
    np.testing.assert_allclose(corners[:, 1], [48 - 48 / 1.25, 48 + 48 / 1.25], atol=1e-4)


@pytest.mark.parametrize("angle, mirror", [(0.0, False), (0.0, True), (0.5, False), (-1.2, True)])
def test_pixels_lie_where_the_points_say(angle, mirror):
    """A blot in the image is found in the crop where `into_crop` sends its centre."""
    centre = np.array([33.3, 47.9])
    y, x = np.indices((100, 90)) + 0.5
    blot = 250 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 18)
    image = np.repeat(blot.round().astype("uint8")[..., None], 3, axis=2)
    matrix = crop_matrix(tf.constant([20.0, 25.0, 60.0, 75.0]), (128, 96), 1.0, angle, mirror)
    crop = crop_image(image, matrix, (128, 96)).numpy()[..., 0].astype(float)
    rows, columns = np.indices(crop.shape) + 0.5
    found = [(crop * columns).sum() / crop.sum(), (crop * rows).sum() / crop.sum()]
    np.testing.assert_allclose(
        found, into_crop(centre[None].astype("float32"), matrix)[0], atol=0.06
    )


def test_an_epoch_is_a_function_of_seed_and_epoch():
    people = load_people("train", source=figures(train=9))
    whole = list(train_batches(people, CONFIG).as_numpy_iterator())
    resumed = list(train_batches(people, CONFIG, first_epoch=1).as_numpy_iterator())
    other = list(train_batches(people, dataclasses.replace(CONFIG, seed=5)).as_numpy_iterator())
    assert [len(whole), len(resumed)] == [4, 2]
    for (image, target), (same_image, same_target) in zip(whole[2:], resumed, strict=True):
        assert image.dtype == np.uint8 and image.shape == (4, 96, 64, 3)
        np.testing.assert_array_equal(image, same_image)
        np.testing.assert_array_equal(target, same_target)
    assert (whole[0][0] != other[0][0]).any() and (whole[0][0] != whole[2][0]).any()


def test_left_stays_left_in_mirrored_crops():
    """The figures face us: their left is at the right, whether a crop is mirrored or not."""
    people = load_people("train", source=figures(train=8))
    config = dataclasses.replace(CONFIG, batch_size=8, epochs=4, rotation=5.0, half_body=0.0)
    for _, targets in train_batches(people, config).as_numpy_iterator():
        assert (targets[:, 5, 0] > targets[:, 6, 0]).all()
        # Nose, hips: what is labelled and inside the crop counts.
        assert set(np.unique(targets[..., 2])) <= {0, 1} and targets[..., 2].mean() > 0.5


def test_half_body_crops_show_half_a_body():
    people = load_people("train", source=figures(train=8))
    config = dataclasses.replace(CONFIG, batch_size=8, epochs=1, half_body=1.0, zoom=0.0,
                                 rotation_share=0.0)  # fmt: skip
    ((_, half),) = train_batches(people, config).as_numpy_iterator()
    whole = dataclasses.replace(config, half_body=0.0)
    ((_, full),) = train_batches(people, whole).as_numpy_iterator()
    assert full[..., 2].all()
    assert (half[..., 2].sum(1) < 17).any()


def test_evaluation_keeps_order_and_knows_the_way_back():
    source = figures(test=5)
    (batch, last) = eval_batches(load_people("test", source=source), CONFIG).as_numpy_iterator()
    assert batch["image"].shape == (4, 96, 64, 3) and len(last["image"]) == 1
    assert batch["record"].tolist() == [b"test[0]", b"test[1]", b"test[2]", b"test[3]"]
    points = into_image(batch["target"][..., :2] * 4, batch["matrix"])
    np.testing.assert_allclose(points, batch["keypoints"][..., :2], atol=1e-3)
    limited = eval_batches(load_people("test", source=source), CONFIG, limit=2)
    assert sum(len(batch["image"]) for batch in limited) == 2


def test_images_that_do_not_decode_are_skipped_or_refused():
    broken = figure_record("train", 1)
    broken["image"] = b"no image"
    source = source_of({"train": [figure_record("train", 0), broken, figure_record("train", 2)]})
    people = load_people("train", source=source)
    config = dataclasses.replace(CONFIG, batch_size=3, epochs=1)
    ((images, _),) = train_batches(people, config).as_numpy_iterator()
    assert len(images) == 3 and source.bad_images.records == ["train[1]"]
    with pytest.raises(UserError, match=r"train\[1\]"):
        train_batches(people, dataclasses.replace(config, on_bad_image="error"))
    with pytest.raises(UserError, match="3 people, fewer than one batch of 4"):
        train_batches(people, CONFIG)


def test_pictures_other_than_square_keep_their_proportions():
    record = figure_record("train", 0)
    wide = np.zeros((96, 192, 3), "uint8")
    record["image"] = encoded(wide)
    (batch,) = eval_batches(load_people("train", source=source_of({"train": [record]})), CONFIG)
    np.testing.assert_allclose(batch["keypoints"][0, :, 0] / 192,
                               record["objects"]["keypoints"][0, :, 0], atol=1e-6)  # fmt: skip


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


@pytest.mark.parametrize(
    "changes",
    [{"dropout": 0.5}, {"min_scale": 0.5}, {"image_size": 100}, {"image_width": 0},
     {"sigma": 0}, {"zoom": 1.0}, {"rotation": 200.0}, {"rotation_share": 2.0}, {"half_body": -0.1},
     {"on_bad_record": "hide"}, {"epochs": 0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(ValueError, match=f"{next(iter(changes))} must be .* Received"):
        dataclasses.replace(CONFIG, **changes)
    for build in (HeatmapLoss, KeypointAccuracy):
        with pytest.raises(ValueError, match="Received"):
            build(0.0)
