"""Crops: coordinates exact to a fraction of a pixel, there and back."""

import numpy as np
import pytest
import tensorflow as tf

from micronet_keras.tasks.keypoints.crop import crop_image, crop_matrix, into_crop, into_image


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
