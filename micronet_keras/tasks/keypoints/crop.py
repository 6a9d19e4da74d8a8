"""Crops of one person: the affine map, the pixels, and where the keypoints come to lie.

All coordinates are continuous: a pixel covers index .. index + 1, its centre is at index + 0.5. So
sizes scale without corrections, and a mirrored x is width - x.
"""

from __future__ import annotations

import tensorflow as tf

# How much wider than its box a person's crop is.
PADDING = 1.25


def crop_matrix(box, size: tuple[int, int], zoom=1.0, angle=0.0, mirror=False) -> tf.Tensor:
    """The map from coordinates of the crop to those of the image.

    Args:
        box: float32 [4] (left, top, right, bottom) in pixels of the image.
        size: (height, width) of the crop.
        zoom: of what is seen: 1 fits the box and a margin of `PADDING`, 1.3 sees more.
        angle: of the crop in the image, in radians, clockwise on the screen.
        mirror: whether the crop is mirrored, left to right.

    Returns:
        float32 [2, 3]: image = matrix[:, :2] @ crop + matrix[:, 2].
    """
    height, width = size
    left, top, right, bottom = tf.unstack(box)
    centre = tf.stack([left + right, top + bottom]) / 2
    pixels = PADDING * zoom * tf.maximum((right - left) / width, (bottom - top) / height)
    cos, sin = pixels * tf.cos(angle), pixels * tf.sin(angle)
    sign = tf.where(mirror, -1.0, 1.0)
    turn = tf.stack([tf.stack([sign * cos, -sin]), tf.stack([sign * sin, cos])])
    offset = centre - tf.linalg.matvec(turn, tf.constant([width / 2, height / 2]))
    return tf.concat([turn, offset[:, None]], axis=1)


def crop_image(image: tf.Tensor, matrix: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Samples uint8 [h, w, 3] bilinearly into uint8 [height, width, 3]; black outside the image."""
    # The operation counts from the centre of the first pixel.
    shift = tf.reduce_sum(matrix[:, :2], axis=1) / 2 - 0.5
    rows = tf.concat([matrix[:, :2], (matrix[:, 2] + shift)[:, None]], axis=1)
    sampled = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=tf.concat([tf.reshape(rows, [6]), [0.0, 0.0]], 0)[None],
        output_shape=size,
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
    pixels = tf.cast(tf.clip_by_value(tf.round(sampled), 0, 255), tf.uint8)
    return tf.ensure_shape(pixels, (*size, 3))


def into_crop(points: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Image coordinates [n, 2] -> coordinates of the crop [n, 2]."""
    return tf.matmul(points - matrix[:, 2], tf.linalg.inv(matrix[:, :2]), transpose_b=True)


def into_image(points, matrix):
    """Coordinates of crops, numpy [n, keypoints, 2], matrices [n, 2, 3] -> image coordinates."""
    return points @ matrix[:, :, :2].swapaxes(1, 2) + matrix[:, None, :, 2]
