"""Boxes through reading, checking and augmentation."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_detection import SIZE, draw, make_source

from micronet_keras.detection import augment, check_annotations, eval_batches, train_batches
from micronet_mcu.errors import UserError


def spoiled(index, boxes, labels):
    """Record 1: every kind of bad box before a good one; record 2: a box a little beyond."""
    if index == 1:
        bad = [[np.nan, 0, 1, 1], [0, 0, 0.5, 1.5], [0.5, 0.5, 0.5, 0.9], [0.6, 0, 0.2, 1]]
        boxes = np.array([*bad, [0, 0, 1, 1], [0.1, 0.1, 0.6, 0.6]], np.float32)
        labels = np.array([0, 0, 0, 0, 7, 1])
    if index == 2:
        boxes, labels = np.array([[-0.005, 0, 0.5, 1.005]], np.float32), np.array([0])
    return boxes, labels


def test_bad_annotations_are_named_and_counted():
    report = check_annotations(make_source({"train": 4}, spoiled), "train", "skip")
    assert report.images == 4 and len(report.problems) == 5
    assert report.problems == (
        "train[1] object 0: a coordinate is not a number",
        "train[1] object 1: the box reaches beyond the image",
        "train[1] object 2: the box has no area",
        "train[1] object 3: the box has no area",
        "train[1] object 4: unknown class",
    )
    assert report.summary().startswith(f"5 of {report.objects} annotations are bad: train[1]")
    assert check_annotations(make_source({"train": 3}), "train", "error").summary() == ""


def test_bad_annotations_are_refused_on_demand():
    source = make_source({"train": 4}, spoiled)
    with pytest.raises(UserError, match=r"train\[1\] object 0"):
        check_annotations(source, "train", "error")
    with pytest.raises(ValueError, match="Received: 'ignore'"):
        check_annotations(source, "train", "ignore")


def test_bad_annotations_never_reach_a_batch():
    source = make_source({"train": 4}, spoiled)
    _, objects = next(iter(eval_batches(source, "train", SIZE, 4)))
    rows = objects[1][objects[1][:, 4] >= 0]
    np.testing.assert_allclose(rows[:, :4], [[6.4, 6.4, 38.4, 38.4]], rtol=1e-5)
    np.testing.assert_allclose(objects[2][0, :4], [0, 0, 32, 64], rtol=1e-5)
    for _, objects in train_batches(source, "train", 32, 2, seed=0, epochs=3):
        assert np.isfinite(objects).all()
        rows = objects[objects[..., 4] >= 0].numpy()
        assert (rows[:, 2:4] > rows[:, :2]).all() and rows[:, :4].min() >= 0
        assert rows[:, :4].max() <= 32 and rows[:, 4].max() <= 1


def test_datasets_without_boxes_or_objects_are_refused():
    source = make_source({"train": 2}, lambda i, b, label: (b[:0], label[:0]))
    with pytest.raises(UserError, match="no objects at all"):
        check_annotations(source, "train", "skip")
    with pytest.raises(UserError, match="fewer than one batch"):
        train_batches(source, "train", 32, 3, seed=0)
    plain = make_source({"train": 2})
    images = plain.read
    object.__setattr__(
        plain, "read", lambda s: images(s).map(lambda r: {"image": r["image"], "record": ""})
    )
    with pytest.raises(UserError, match="not for detection"):
        check_annotations(plain, "train", "skip")


def test_arguments_out_of_range_are_refused():
    source = make_source({"train": 2})
    with pytest.raises(ValueError, match="Received: 0.9, 0.5"):
        train_batches(source, "train", 32, 2, 0, smallest_window=0.9, largest_window=0.5)
    with pytest.raises(ValueError, match="mosaic"):
        train_batches(source, "train", 32, 2, 0, mosaic=2)
    with pytest.raises(ValueError, match="first_epoch"):
        train_batches(source, "train", 32, 2, 0, first_epoch=2, epochs=1)
    with pytest.raises(ValueError, match="on_bad_image"):
        eval_batches(source, "train", 32, 2, on_bad_image="no")


def test_evaluation_sees_whole_images_and_remembers_their_scale():
    (images, objects), *_ = eval_batches(make_source({"train": 3}), "train", SIZE // 2, 3)
    assert images.shape == (3, SIZE // 2, SIZE // 2, 3)
    for index in range(3):
        _, boxes, labels = draw(index)
        rows = objects[index][objects[index][:, 4] >= 0]
        np.testing.assert_allclose(rows[:, :4], boxes * SIZE / 2, atol=1e-4)
        np.testing.assert_array_equal(rows[:, 4], labels)
        assert (objects[index][:, 6][:1] == 2).numpy().all()


def test_crowds_are_marked_in_evaluation_and_left_out_of_training():
    source = make_source({"train": 8}, crowd=True)
    for _, objects in eval_batches(source, "train", SIZE, 8):
        real = objects.numpy()[objects[..., 4] >= 0]
        assert (real[:, 5] == 1).sum() == 8
    total = sum(len(draw(index)[1]) - 1 for index in range(8))
    batches = train_batches(source, "train", SIZE, 8, 0, smallest_window=1, largest_window=1)
    assert sum(int((objects[..., 4] >= 0).numpy().sum()) for _, objects in batches) == total


def test_epochs_repeat_and_can_be_entered_in_the_middle():
    def batches(first):
        stream = train_batches(make_source({"train": 6}), "train", 32, 2, 5, first, 3, mosaic=0.5)
        return [(images.numpy(), objects.numpy()) for images, objects in stream]

    whole, rest = batches(0), batches(1)
    assert len(whole) == 9 and len(rest) == 6
    for (images, objects), (others, other_objects) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(objects, other_objects)
    assert not np.array_equal(whole[0][0], whole[3][0])


def square(top, left, bottom, right, size=40):
    """A black image with one white box; the box relative to it."""
    image = np.zeros((size, size, 3), np.uint8)
    image[top:bottom, left:right] = 255
    return image, np.array([[top, left, bottom, right]], np.float32) / size


def bright_box(image):
    bright = np.asarray(image)[..., 0] > 180
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])


@pytest.mark.parametrize(
    "window", [(0, 0, 40, 40), (5, 8, 30, 25), (-10, -20, 60, 70), (-4, 3, 30, 30), (0, 0, 80, 80)]
)
@pytest.mark.parametrize("size", [40, 96])
def test_boxes_follow_the_pixels(window, size):
    image, boxes = square(12, 14, 26, 27)
    part, moved = augment.cut(image, boxes, np.array(window, "float32"), size)
    clipped, seen = augment.visible(moved, size, 0.3)
    assert part.shape == (size, size, 3) and bool(seen[0])
    # Half a pixel of the source or of the result, whichever is larger, is blurred.
    blur = max(1.0, 0.75 * size / min(window[2:]))
    assert np.abs(bright_box(part) - clipped[0]).max() <= blur


def test_windows_stay_within_reach():
    for number in range(40):
        key = (tf.constant(1, tf.int64), tf.constant(number, tf.int64))
        top, left, height, width = augment.random_window(
            np.array([30, 60, 3]), key, 0.5, 1.5
        ).numpy()
        assert 60 * 0.5 / 1.12 < height < 60 * 1.5 * 1.12
        for start, length, side in ((top, height, 30), (left, width, 60)):
            # The smaller lies wholly in the larger.
            assert min(0, side - length) - 1e-3 <= start <= max(0, side - length) + 1e-3


def test_flipping_mirrors_boxes_with_the_image():
    image, boxes = square(3, 5, 20, 14)
    seen = set()
    for number in range(12):
        key = (tf.constant(0, tf.int64), tf.constant(number, tf.int64))
        mirrored, moved = augment.flip(tf.constant(image), tf.constant(boxes * 40), key)
        np.testing.assert_allclose(bright_box(mirrored), moved[0], atol=1e-4)
        seen.add(float(moved[0, 1]))
    assert seen == {5.0, 26.0}


def test_objects_leave_with_too_little_of_them():
    boxes = tf.constant([[-6.0, 0, 4, 10], [-5.0, 0, 5, 10], [50.0, 50, 60, 60]])
    clipped, seen = augment.visible(boxes, 40, 0.45)
    assert seen.numpy().tolist() == [False, True, False]
    assert clipped.numpy()[1].tolist() == [0, 0, 5, 10]


def test_mosaic_puts_four_corners_together():
    images = np.stack([np.full((32, 32, 3), 10 * (i + 1), np.uint8) for i in range(4)])
    whole = np.array([0, 0, 32, 32], np.float32)
    objects = np.stack([[[*whole, i], [0, 0, 0, 0, -1]] for i in range(4)]).astype(np.float32)
    key = (tf.constant(0, tf.int64), tf.constant(0, tf.int64))
    mixed, rows = augment.mosaic(tf.constant(images), tf.constant(objects), key, 0.01, 1.0)
    assert rows.shape == (4, 8, 5)
    for i in range(4):
        kept = rows[i].numpy()[rows[i].numpy()[:, 4] >= 0]
        assert kept[:, 4].tolist() == [i, (i + 1) % 4, (i + 2) % 4, (i + 3) % 4]
        assert kept[0, :2].tolist() == [0, 0] and kept[3, 2:4].tolist() == [32, 32]
        for top, left, bottom, right, label in kept.astype(int):
            assert (mixed[i].numpy()[top:bottom, left:right] == 10 * (label + 1)).all()
    same, rows = augment.mosaic(tf.constant(images), tf.constant(objects), key, 0.01, 0.0)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(rows[:, 0], objects[:, 0])
    assert (rows[:, 1:, 4] == -1).numpy().all()
