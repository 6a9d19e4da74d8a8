"""From records with boxes to batches for training and evaluation."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from micronet_keras.data import Part, Source, shuffled_epochs
from micronet_keras.data.decoding import decoded, refuse_bad_images
from micronet_keras.tasks.detection import augment
from micronet_keras.tasks.detection.annotations import read_objects, require_objects
from micronet_keras.tasks.detection.augment import Size
from micronet_mcu.errors import UserError

# An object stays in a crop where so much of its area is left.
VISIBLE_SHARE = 0.4


def train_batches(
    source: Source,
    split: str,
    image_size: Size,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    epochs: int = 1,
    *,
    smallest_window: float = 0.6,
    largest_window: float = 1.2,
    flip: bool = True,
    mosaic: float = 0.0,
    on_bad_image: str = "skip",
    most_objects: int | None = None,
) -> tf.data.Dataset:
    """Shuffled, augmented batches of the epochs first_epoch .. epochs - 1, one after the other.

    As `micronet_keras.data.train_batches`: order and augmentation of an epoch are a pure function
    of (seed, epoch). Bad annotations are left out: `check_annotations` names them.

    Args:
        source, split, batch_size, seed, first_epoch, epochs, on_bad_image: as there.
        image_size: (height, width) of the batches in pixels.
        smallest_window, largest_window: side of the window that is cut out, as a share of the
            image's longer side: below 1 it crops, above 1 it shrinks the image.
        flip: whether images are mirrored, left to right.
        mosaic: share of the images that are put together from four.
        most_objects: of an image; all batches then have the same shape.

    Returns:
        tf.data.Dataset of uint8 [batch_size, height, width, 3] RGB and float32
        [batch_size, n, 5]: (top, left, bottom, right) in pixels and the class, -1 for padding; n
        is at least 1 and differs between batches. Of the rows in `source.part` alone.

    Raises:
        UserError: no such split, no boxes, too few images, bad images when they are refused.
        ValueError: an argument out of its range.

    Example:

    >>> images, objects = next(iter(train_batches(scenes, "train", (64, 96), 2, seed=1)))
    >>> images.shape[:3], objects.shape[-1]
    (TensorShape([2, 64, 96]), 5)
    """
    if not 0 < smallest_window <= largest_window:
        raise ValueError(
            "smallest_window must be above 0 and at most largest_window. "
            f"Received: {smallest_window}, {largest_window}"
        )
    if not 0 <= mosaic <= 1:
        raise ValueError(f"mosaic must be from 0 to 1. Received: {mosaic}")
    if not 0 <= first_epoch <= epochs:
        raise ValueError(
            f"first_epoch must be from 0 to epochs. Received: {first_epoch} of {epochs} epochs"
        )
    records = _records(source, split, on_bad_image)
    steps = source.splits[split] // batch_size
    if steps == 0:
        raise UserError(
            f"split {split!r} of {source.name!r} has {source.splits[split]} images, fewer than one "
            f"batch of {batch_size}; choose a smaller batch"
        )
    classes = len(source.object_class_names)
    # Batches are made as a whole: images of a mosaic come from all of it.
    whole = dataclasses.replace(source, part=Part())

    def augmented(epoch, place, record):
        number = epoch * 2**32 + place
        boxes, labels, crowd, problem = read_objects(record, classes)
        window = augment.random_window(
            tf.shape(record["image"]), (seed, number), smallest_window, largest_window, image_size
        )
        image, boxes = augment.cut(record["image"], boxes, window, image_size)
        boxes, seen = augment.visible(boxes, image_size, VISIBLE_SHARE)
        if flip:
            image, boxes = augment.flip(image, boxes, (seed, -1 - number))
        use = (problem < 0) & ~crowd & seen
        rows = tf.concat([boxes, tf.cast(labels, tf.float32)[:, None]], axis=1)
        rows = tf.boolean_mask(rows, use)
        # Never an empty axis: reductions over no objects at all would have no result.
        return image, tf.concat([rows, [[0.0, 0.0, 0.0, 0.0, -1.0]]], axis=0), number

    dataset = shuffled_epochs(whole, split, records, batch_size, seed, first_epoch, epochs).map(
        augmented, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    dataset = dataset.padded_batch(
        batch_size,
        ((*image_size, 3), (_rows(most_objects), 5), ()),
        padding_values=(tf.constant(0, tf.uint8), -1.0, tf.constant(0, tf.int64)),
        drop_remainder=True,
    )

    def finished(images, objects, numbers):
        if not mosaic:
            return images, objects
        key = (tf.constant(seed, tf.int64) + 2**40, numbers[0])
        return augment.mosaic(images, objects, key, VISIBLE_SHARE, mosaic)

    dataset = dataset.map(finished, num_parallel_calls=tf.data.AUTOTUNE)
    return source.part.of(dataset, batch_size).prefetch(tf.data.AUTOTUNE)


def _rows(most_objects: int | None) -> int | None:
    # One more: there is always a row of padding.
    return None if most_objects is None else most_objects + 1


def eval_batches(
    source: Source,
    split: str,
    image_size: Size,
    batch_size: int,
    *,
    on_bad_image: str = "skip",
    most_objects: int | None = None,
) -> tf.data.Dataset:
    """All images of a split in their order, whole, scaled to fit and padded at their ends.

    Returns:
        tf.data.Dataset of (uint8 [b, height, width, 3] RGB, float32 [b, n, 7]): top, left,
        bottom, right in pixels of the batch's image, class (-1 for padding), 1.0 for a crowd that
        may be found or not, and pixels of the original image for one of the batch's.

    Raises:
        UserError: no such split, no boxes, bad images when they are refused.
    """
    classes = len(source.object_class_names)

    def prepared(record):
        boxes, labels, crowd, problem = read_objects(record, classes)
        window = augment.whole_window(tf.shape(record["image"]), image_size)
        image, boxes = augment.cut(record["image"], boxes, window, image_size)
        rows = tf.concat(
            [
                boxes,
                tf.cast(labels, tf.float32)[:, None],
                tf.cast(crowd, tf.float32)[:, None],
                tf.fill((tf.shape(labels)[0], 1), window[2] / image_size[0]),
            ],
            axis=1,
        )
        rows = tf.boolean_mask(rows, problem < 0)
        padding = tf.stack([0.0, 0.0, 0.0, 0.0, -1.0, 0.0, window[2] / image_size[0]])
        return image, tf.concat([rows, padding[None]], axis=0)

    records = decoded(_records(source, split, on_bad_image), source.bad_images)
    images = records.map(prepared, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = images.padded_batch(
        batch_size,
        ((*image_size, 3), (_rows(most_objects), 7)),
        padding_values=(tf.constant(0, tf.uint8), -1.0),
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def as_targets(images, objects):
    """Rows of `eval_batches` as rows of `train_batches`; a crowd is nothing to be found."""
    label = objects[..., 4:5] * (1 - objects[..., 5:6]) - objects[..., 5:6]
    return images, tf.concat([objects[..., :4], label], axis=-1)


def _records(source: Source, split: str, on_bad_image: str) -> tf.data.Dataset:
    if on_bad_image not in ("skip", "error"):
        raise ValueError(f"on_bad_image must be 'skip' or 'error'. Received: {on_bad_image!r}")
    records = source.raw(split)
    require_objects(source)
    if on_bad_image == "error":
        refuse_bad_images(records, f"dataset {source.name!r}, split {split!r}")
    return records.map(lambda record: {key: record[key] for key in ("image", "objects", "record")})
