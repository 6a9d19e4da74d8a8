"""Batches of crops: epochs repeatable, left and right kept, the way back to the image known."""

import numpy as np
import pytest
from stick_figures import encoded, figure_record, figures, source_of

from micronet_keras.tasks import KeypointConfig, TrainConfig, replace
from micronet_keras.tasks.keypoints.crop import into_image
from micronet_keras.tasks.keypoints.people import load_people
from micronet_keras.tasks.keypoints.targets import eval_batches, train_batches
from micronet_mcu.errors import UserError

CONFIG = KeypointConfig(
    training=TrainConfig(image_size=96, image_width=64, batch_size=4, epochs=2, warmup_epochs=0)
)


@pytest.mark.slow
def test_an_epoch_is_a_function_of_seed_and_epoch():
    people = load_people(figures(train=9), "train")
    whole = list(train_batches(people, CONFIG).as_numpy_iterator())
    resumed = list(train_batches(people, CONFIG, first_epoch=1).as_numpy_iterator())
    other = list(train_batches(people, replace(CONFIG, seed=5)).as_numpy_iterator())
    assert [len(whole), len(resumed)] == [4, 2]
    for (image, target), (same_image, same_target) in zip(whole[2:], resumed, strict=True):
        assert image.dtype == np.uint8 and image.shape == (4, 96, 64, 3)
        np.testing.assert_array_equal(image, same_image)
        np.testing.assert_array_equal(target, same_target)
    assert (whole[0][0] != other[0][0]).any() and (whole[0][0] != whole[2][0]).any()


def test_left_stays_left_in_mirrored_crops():
    """The figures face us: their left is at the right, whether a crop is mirrored or not."""
    people = load_people(figures(train=8), "train")
    config = replace(CONFIG, batch_size=8, epochs=4, rotation=5.0, half_body=0.0)
    for _, targets in train_batches(people, config).as_numpy_iterator():
        assert (targets[:, 5, 0] > targets[:, 6, 0]).all()
        # Nose, hips: what is labelled and inside the crop counts.
        assert set(np.unique(targets[..., 2])) <= {0, 1} and targets[..., 2].mean() > 0.5


def test_half_body_crops_show_half_a_body():
    people = load_people(figures(train=8), "train")
    config = replace(CONFIG, batch_size=8, epochs=1, half_body=1.0, zoom=0.0, rotation_share=0.0)
    ((_, half),) = train_batches(people, config).as_numpy_iterator()
    whole = replace(config, half_body=0.0)
    ((_, full),) = train_batches(people, whole).as_numpy_iterator()
    assert full[..., 2].all()
    assert (half[..., 2].sum(1) < 17).any()


def test_evaluation_keeps_order_and_knows_the_way_back():
    source = figures(test=5)
    (batch, last) = eval_batches(load_people(source, "test"), CONFIG).as_numpy_iterator()
    assert batch["image"].shape == (4, 96, 64, 3) and len(last["image"]) == 1
    assert batch["record"].tolist() == [b"test[0]", b"test[1]", b"test[2]", b"test[3]"]
    points = into_image(batch["target"][..., :2] * 4, batch["matrix"])
    np.testing.assert_allclose(points, batch["keypoints"][..., :2], atol=1e-3)
    limited = eval_batches(load_people(source, "test"), CONFIG, limit=2)
    assert sum(len(batch["image"]) for batch in limited) == 2


def test_images_that_do_not_decode_are_skipped_or_refused():
    broken = figure_record("train", 1)
    broken["image"] = b"no image"
    source = source_of({"train": [figure_record("train", 0), broken, figure_record("train", 2)]})
    people = load_people(source, "train")
    config = replace(CONFIG, batch_size=3, epochs=1)
    ((images, _),) = train_batches(people, config).as_numpy_iterator()
    assert len(images) == 3 and source.bad_images.records == ["train[1]"]
    with pytest.raises(UserError, match=r"train\[1\]"):
        train_batches(people, replace(config, on_bad_image="error"))
    with pytest.raises(UserError, match="3 people, fewer than one batch of 4"):
        train_batches(people, CONFIG)


def test_pictures_other_than_square_keep_their_proportions():
    record = figure_record("train", 0)
    wide = np.zeros((96, 192, 3), "uint8")
    record["image"] = encoded(wide)
    (batch,) = eval_batches(load_people(source_of({"train": [record]}), "train"), CONFIG)
    np.testing.assert_allclose(batch["keypoints"][0, :, 0] / 192,
                               record["objects"]["keypoints"][0, :, 0], atol=1e-6)  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [{"sigma": 0}, {"zoom": 1.0}, {"rotation": 200.0}, {"rotation_share": 2.0}, {"half_body": -0.1},
     {"on_bad_annotation": "hide"}, {"epochs": 0}, {"image_width": 16}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(ValueError, match=f"{next(iter(changes))} must be .* Received"):
        replace(CONFIG, **changes)


def test_what_a_crop_cannot_be_is_refused():
    with pytest.raises(ValueError, match="multiples of 32. Received: 100 x 64"):
        replace(CONFIG, image_size=100)
    for classifiers in ({"dropout": 0.5}, {"min_scale": 0.5}):
        with pytest.raises(TypeError, match=next(iter(classifiers))):
            replace(CONFIG, **classifiers)
