"""From people in images to batches of crops and the coordinates of their keypoints."""

from __future__ import annotations

import math

import tensorflow as tf

from micronet_keras.data import shuffled_epochs
from micronet_keras.data.decoding import decoded, refuse_bad_images
from micronet_keras.data.skeleton import Skeleton
from micronet_keras.models import HEATMAP_STRIDE
from micronet_keras.tasks.keypoints.crop import crop_image, crop_matrix, into_crop
from micronet_keras.tasks.keypoints.people import People, in_pixels
from micronet_mcu.errors import UserError
from micronet_settings.keypoints import KeypointConfig

# Half-body crops need so many labelled keypoints, and so many of them in the half.
_HALF_BODY_ALL, _HALF_BODY_HALF = 8, 3


def train_batches(people: People, config: KeypointConfig, first_epoch: int = 0) -> tf.data.Dataset:
    """Shuffled, augmented batches of the epochs first_epoch .. epochs - 1.

    Order and augmentation of an epoch are a pure function of (seed, epoch). Augmentation is the
    usual one of top-down pose estimation: zoom, rotation, mirroring with left and right swapped,
    and crops of half a body where the skeleton says what that is.

    Args:
        people: of the training split.
        config: size of the crops, batch size, seed and the strength of the augmentation.
        first_epoch: number of the first epoch, from 0.

    Returns:
        tf.data.Dataset of (uint8 [batch, height, width, 3] RGB, float32 [batch, n, 3]): x and y in
        cells of the heatmap, and 1 for a keypoint that is labelled and inside the crop, else 0.

    Raises:
        UserError: fewer people than a batch, or images that do not decode, when they are refused.
    """
    steps = len(people) // config.training.batch_size
    if not steps:
        raise UserError(
            f"split {people.split!r} of {people.source.name!r} has {len(people)} people, fewer "
            f"than one batch of {config.training.batch_size}; choose a smaller batch"
        )
    _refuse_if_asked(people, config)

    def augmented(epoch, place, person):
        person = in_pixels(person)
        matrix, mirror = _random_crop(person, config, people.skeleton, epoch * 2**32 + place)
        crop = crop_image(person["image"], matrix, config.training.size)
        return crop, _targets(
            person["keypoints"], matrix, mirror, config.training.size, people.skeleton
        )

    dataset = shuffled_epochs(
        people.source,
        people.split,
        people.records(),
        config.training.batch_size,
        config.training.seed,
        first_epoch,
        config.training.epochs,
    ).map(augmented, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    rows = config.training.batch_size // people.source.part.count
    return dataset.batch(rows, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def eval_batches(
    people: People, config: KeypointConfig, limit: int | None = None
) -> tf.data.Dataset:
    """The people of a split in their order, each crop upright around the box.

    Args:
        people: the split.
        config: size of the crops, batch size.
        limit: only the first so many; None is all.

    Returns:
        tf.data.Dataset of dicts: `image` uint8 [b, height, width, 3], `target` float32 [b, n, 3]
        as of `train_batches`, `matrix` float32 [b, 2, 3] (see `crop_matrix`), and `keypoints`
        float32 [b, n, 3], `box` [b, 4], `area` [b] in pixels of the image, `record`.
    """
    _refuse_if_asked(people, config)

    def prepared(person):
        person = in_pixels(person)
        matrix = crop_matrix(person["box"], config.training.size)
        return {
            "image": crop_image(person["image"], matrix, config.training.size),
            "target": _targets(
                person["keypoints"], matrix, False, config.training.size, people.skeleton
            ),
            "matrix": matrix,
            **{key: person[key] for key in ("keypoints", "box", "area", "record")},
        }

    crops = decoded(people.records(), people.source.bad_images)
    crops = crops.take(limit or -1).map(
        prepared, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return crops.batch(config.training.batch_size).prefetch(tf.data.AUTOTUNE)


def as_targets(batch: dict) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch of `eval_batches` as (image, target), for Keras' `fit`."""
    return batch["image"], batch["target"]


def _refuse_if_asked(people: People, config: KeypointConfig) -> None:
    if config.training.on_bad_image == "error":
        refuse_bad_images(
            people.records(), f"dataset {people.source.name!r}, split {people.split!r}"
        )


def _random_crop(person, config: KeypointConfig, skeleton: Skeleton, number):
    """A random `crop_matrix` and whether it mirrors; a pure function of the seed and `number`."""
    random = tf.random.stateless_uniform((6,), (tf.cast(config.training.seed, tf.int64), number))
    box = person["box"]
    if skeleton.upper:
        box = tf.cond(
            random[0] < config.half_body,
            lambda: _half_body(person["keypoints"], box, skeleton.upper, random[1] < 0.5),
            lambda: box,
        )
    zoom = 1 + config.zoom * (2 * random[2] - 1)
    turns = random[3] < config.rotation_share
    angle = tf.where(turns, (2 * random[4] - 1) * math.radians(config.rotation), 0.0)
    mirror = (random[5] < 0.5) & config.training.flip
    return crop_matrix(box, config.training.size, zoom, angle, mirror), mirror


def _half_body(keypoints, box, upper: tuple[bool, ...], above):
    """A box around the keypoints of the upper half, when `above`, or of the lower one; `box` where
    too few are labelled."""
    labelled = keypoints[:, 2] > 0
    chosen = labelled & (tf.constant(upper) == above)
    points = tf.boolean_mask(keypoints[:, :2], chosen)
    count = tf.shape(points)[0]
    enough = (tf.reduce_sum(tf.cast(labelled, tf.int32)) >= _HALF_BODY_ALL) & (
        count >= _HALF_BODY_HALF
    )

    def around():
        low, high = tf.reduce_min(points, axis=0), tf.reduce_max(points, axis=0)
        # The keypoints of a limb may lie on one line: half as much again, and a pixel at least.
        margin = tf.maximum((high - low) / 4, 1.0)
        return tf.concat([low - margin, high + margin], axis=0)

    return tf.cond(enough, around, lambda: box)


def _targets(keypoints, matrix, mirror, size: tuple[int, int], skeleton: Skeleton):
    points = into_crop(keypoints[:, :2], matrix)
    inside = tf.reduce_all(
        (points >= 0) & (points <= tf.constant([size[1], size[0]], tf.float32)), 1
    )
    weights = tf.cast(inside & (keypoints[:, 2] > 0), tf.float32)
    targets = tf.concat([points / HEATMAP_STRIDE, weights[:, None]], axis=1)
    targets = tf.where(mirror, tf.gather(targets, skeleton.mirrored), targets)
    return tf.ensure_shape(targets, (len(skeleton.names), 3))
