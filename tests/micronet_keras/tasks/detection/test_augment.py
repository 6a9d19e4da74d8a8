"""Augmentation of images with their boxes: boxes follow the pixels."""

import numpy as np
import pytest
import tensorflow as tf

from micronet_keras.tasks.detection import augment


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
@pytest.mark.parametrize("size", [(40, 40), (96, 96), (48, 96)])
def test_boxes_follow_the_pixels(window, size):
    image, boxes = square(12, 14, 26, 27)
    part, moved = augment.cut(image, boxes, np.array(window, "float32"), size)
    clipped, seen = augment.visible(moved, size, 0.3)
    assert part.shape == (*size, 3) and bool(seen[0])
    # Half a pixel of the source or of the result, whichever is larger, is blurred.
    blur = max(1.0, 0.75 * max(size) / min(window[2:]))
    assert np.abs(bright_box(part) - clipped[0]).max() <= blur


@pytest.mark.parametrize(("output", "frame"), [((32, 32), 60), ((32, 64), 30), ((64, 32), 120)])
def test_windows_stay_within_reach(output, frame):
    for number in range(40):
        key = (tf.constant(1, tf.int64), tf.constant(number, tf.int64))
        top, left, height, width = augment.random_window(
            np.array([30, 60, 3]), key, 0.5, 1.5, output
        ).numpy()
        assert frame * 0.5 / 1.12 < height < frame * 1.5 * 1.12
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
    clipped, seen = augment.visible(boxes, (40, 40), 0.45)
    assert seen.numpy().tolist() == [False, True, False]
    assert clipped.numpy()[1].tolist() == [0, 0, 5, 10]


def test_mosaic_puts_four_corners_together():
    images = np.stack([np.full((32, 48, 3), 10 * (i + 1), np.uint8) for i in range(4)])
    whole = np.array([0, 0, 32, 48], np.float32)
    objects = np.stack([[[*whole, i], [0, 0, 0, 0, -1]] for i in range(4)]).astype(np.float32)
    key = (tf.constant(0, tf.int64), tf.constant(0, tf.int64))
    mixed, rows = augment.mosaic(tf.constant(images), tf.constant(objects), key, 0.01, 1.0)
    assert rows.shape == (4, 8, 5)
    for i in range(4):
        kept = rows[i].numpy()[rows[i].numpy()[:, 4] >= 0]
        assert kept[:, 4].tolist() == [i, (i + 1) % 4, (i + 2) % 4, (i + 3) % 4]
        assert kept[0, :2].tolist() == [0, 0] and kept[3, 2:4].tolist() == [32, 48]
        for top, left, bottom, right, label in kept.astype(int):
            assert (mixed[i].numpy()[top:bottom, left:right] == 10 * (label + 1)).all()
    same, rows = augment.mosaic(tf.constant(images), tf.constant(objects), key, 0.01, 0.0)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(rows[:, 0], objects[:, 0])
    assert (rows[:, 1:, 4] == -1).numpy().all()
