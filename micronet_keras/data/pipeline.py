"""From encoded images to batches for training and evaluation."""

import tensorflow as tf

from micronet_keras.data.decoding import decoded, decoded_with_stand_in, refuse_bad_images
from micronet_keras.data.sources import Source
from micronet_mcu.errors import UserError

# Decoded images are kept in memory when all of a split fit into this.
CACHE_BYTES = 2**30

Size = tuple[int, int]

# Records to shuffle among when they are too many to shuffle them all.
_SHUFFLE_BUFFER = 8192


def train_batches(
    source: Source,
    split: str,
    image_size: int | Size,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    epochs: int = 1,
    *,
    min_scale: float = 0.08,
    flip: bool = True,
    on_bad_image: str = "skip",
    cache_bytes: int = CACHE_BYTES,
) -> tf.data.Dataset:
    """Shuffled, augmented batches of the epochs first_epoch .. epochs - 1, one after the other.

    The order and the augmentation of an epoch are a pure function of (seed, epoch): a run that
    starts at `first_epoch` sees what one that started at 0 would see from there on. An epoch has
    `source.splits[split] // batch_size` batches; a bad image's place is taken by another image.

    Augmentation is the authors' (torchvision's RandomResizedCrop and RandomHorizontalFlip): a
    crop of a random share of the area, from `min_scale` to 1, of aspect ratio 3/4 to 4/3 (times
    that of the batches), resized bilinearly, then a flip with probability 1/2.

    Args:
        source: from `load_dataset`.
        split: a name in `source.splits`.
        image_size: (height, width) of the batches in pixels; one number is a square.
        batch_size: images in a batch.
        seed: any whole number.
        first_epoch: number of the first epoch, from 0.
        epochs: number after the last epoch.
        min_scale: smallest share of the area, in (0, 1]. The authors' 0.08 suits photographs;
            small images with one small object want more.
        flip: whether images are flipped. Not for classes that differ by their handedness.
        on_bad_image: "skip" leaves out images that do not decode and notes them in
            `source.bad_images`; "error" decodes all of them beforehand and refuses.
        cache_bytes: decoded images are kept in memory when the split takes less than this.

    Returns:
        tf.data.Dataset of (uint8 [batch_size, height, width, 3] RGB, int32 [batch_size]); of the
        rows in `source.part` alone where that is not all.

    Raises:
        UserError: no such split, no labels, too few images, bad images when they are refused.
        ValueError: an argument out of its range.

    Example:

    >>> batches = train_batches(source, "train", 96, 8, seed=1, epochs=3)
    >>> images, labels = next(iter(batches))
    >>> images.shape, labels.shape
    (TensorShape([8, 96, 96, 3]), TensorShape([8]))
    """
    if not 0 < min_scale <= 1:
        raise ValueError(f"min_scale must be in (0, 1]. Received: {min_scale}")
    if not 0 <= first_epoch <= epochs:
        raise ValueError(
            f"first_epoch must be from 0 to epochs. Received: {first_epoch} of {epochs} epochs"
        )
    size = _size(image_size)
    records = _labelled_records(source, split, batch_size, on_bad_image)
    count = source.splits[split]
    steps = count // batch_size
    if steps == 0:
        raise UserError(
            f"split {split!r} of {source.name!r} has {count} images, fewer than one batch of "
            f"{batch_size}; choose a smaller batch"
        )

    def augmented(epoch, place, record):
        image = _augment(record["image"], size, (seed, epoch, place), min_scale, flip)
        return image, tf.cast(record["label"], tf.int32)

    dataset = shuffled_epochs(
        source, split, records, batch_size, seed, first_epoch, epochs, cache_bytes
    ).map(augmented, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(batch_size // source.part.count, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def shuffled_epochs(
    source: Source,
    split: str,
    records: tf.data.Dataset,
    batch_size: int,
    seed: int,
    first_epoch: int,
    epochs: int,
    cache_bytes: int = CACHE_BYTES,
) -> tf.data.Dataset:
    """The records of the epochs first_epoch .. epochs - 1 with their images decoded, shuffled.

    An epoch's order is a pure function of (seed, epoch). A record whose image does not decode is
    noted in `source.bad_images`; its place is taken by another.

    Where `source.part` is not all, only its places are handed over. Of a split that is not kept in
    memory nothing else is decoded, so that nobody knows of another one's bad images: there the
    record before a bad one takes its place, too.

    Args:
        source, split: where the records come from.
        records: dicts with `image` (encoded) and `record`, and whatever else training needs.
        batch_size: records of a batch; an epoch has whole batches.
        seed, first_epoch, epochs, cache_bytes: as in `train_batches`.

    Returns:
        tf.data.Dataset of (epoch int64, place in the epoch int64, record).
    """
    in_memory = _decoded_bytes(source, split) <= cache_bytes
    if in_memory:
        records = decoded(records, source.bad_images).cache()
    count = source.splits[split]
    buffer = count if in_memory else min(count, _SHUFFLE_BUFFER)
    part, take = source.part, count // batch_size * batch_size

    def one_epoch(epoch):
        # Within this traced function it sets the function's own seed, so that the order does not
        # depend on the program's global seed. Never 0: together with a seed that is a tensor,
        # TensorFlow would ask for its value here.
        tf.random.set_seed(2 * seed + 1)
        order = records.shuffle(buffer, seed=epoch, reshuffle_each_iteration=False)
        if part.count > 1 and not in_memory:
            places = _with_record_before(order).take(take).enumerate()
            places = places.filter(lambda place, pair: part.holds(place, batch_size))
            mine = decoded_with_stand_in(places, source.bad_images)
            return mine.map(lambda place, record: (epoch, place, record))
        if not in_memory:
            order = decoded(order, source.bad_images)
        # Another round is only begun when bad images left places free.
        order = tf.data.Dataset.range(count).flat_map(lambda _: order).take(take)
        places = order.enumerate()
        if part.count > 1:
            places = places.filter(lambda place, record: part.holds(place, batch_size))
        return places.map(lambda place, record: (epoch, place, record))

    return tf.data.Dataset.range(first_epoch, epochs).flat_map(one_epoch)


def _with_record_before(records: tf.data.Dataset) -> tf.data.Dataset:
    """(record, the one before it) for every record; the first one's is itself."""
    first = tf.nest.map_structure(
        lambda spec: tf.zeros(spec.shape, spec.dtype), records.element_spec
    )

    def step(state, record):
        begun, before = state
        before = tf.cond(begun, lambda: before, lambda: record)
        return (True, record), (record, before)

    return records.scan((False, first), step)


def eval_batches(
    source: Source,
    split: str,
    image_size: int | Size,
    batch_size: int,
    *,
    crop_fraction: float | None = None,
    on_bad_image: str = "skip",
) -> tf.data.Dataset:
    """All images of a split in their order, resized (antialiased) and cut at the centre.

    What is kept is the largest part of the batches' shape that fits into the image, and of its
    sides the `crop_fraction`: the authors' 256 -> 224 is a fraction of 0.875.

    Args:
        source: from `load_dataset`.
        split: a name in `source.splits`.
        image_size: (height, width) of the batches in pixels; one number is a square.
        batch_size: images in a batch; the last batch may have fewer.
        crop_fraction: in (0, 1]; `source.crop_fraction` when None.
        on_bad_image: as in `train_batches`.

    Returns:
        tf.data.Dataset of (uint8 [b, height, width, 3] RGB, int32 [b]).

    Raises:
        UserError, ValueError: as `train_batches`.

    Example:

    >>> sum(len(labels) for images, labels in eval_batches(source, "test", 96, 100))
    12
    """
    crop_fraction = source.crop_fraction if crop_fraction is None else crop_fraction
    if not 0 < crop_fraction <= 1:
        raise ValueError(f"crop_fraction must be in (0, 1]. Received: {crop_fraction}")
    size = _size(image_size)
    records = _labelled_records(source, split, batch_size, on_bad_image)

    def prepared(record):
        image = _centre(record["image"], size, crop_fraction)
        return image, tf.cast(record["label"], tf.int32)

    images = decoded(records, source.bad_images).map(
        prepared, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return images.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _size(image_size: int | Size) -> Size:
    sides = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(
            f"image_size must be a whole number from 1, or two of them. Received: {image_size!r}"
        )
    return sides


def _labelled_records(
    source: Source, split: str, batch_size: int, on_bad_image: str
) -> tf.data.Dataset:
    if on_bad_image not in ("skip", "error"):
        raise ValueError(f"on_bad_image must be 'skip' or 'error'. Received: {on_bad_image!r}")
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number from 1. Received: {batch_size!r}")
    records = source.raw(split)
    if not source.has_labels:
        raise UserError(
            f"dataset {source.name!r} has no label per image, only labelled objects: it is for "
            "detection, not for classification"
        )
    if on_bad_image == "error":
        refuse_bad_images(records, f"dataset {source.name!r}, split {split!r}")
    return records.map(lambda record: {key: record[key] for key in ("image", "label", "record")})


def _decoded_bytes(source: Source, split: str) -> int:
    """What a split takes when decoded, judged by its first images.

    Raises:
        UserError: not one image decodes.
    """
    images = decoded(source.raw(split), source.bad_images).take(16)
    sizes = [int(tf.size(record["image"])) for record in images]
    if not sizes:
        raise UserError(
            f"no image of split {split!r} of {source.name!r} can be used: "
            f"{source.bad_images.summary()}"
        )
    return sum(sizes) * source.splits[split] // len(sizes)


def _augment(image, size: Size, key, min_scale: float, flip: bool):
    """A random resized crop and flip of uint8 [h, w, 3], a pure function of the image and `key`."""
    seed, epoch, place = (tf.cast(part, tf.int64) for part in key)
    number = epoch * 2**32 + place
    random = tf.random.stateless_uniform((_CROP_TRIES, 4), (seed, number))
    aspect = size[1] / size[0]
    top, left, height, width = _random_crop(tf.shape(image), random, min_scale, aspect)
    image = _resized(image[top : top + height, left : left + width], *size)
    if flip:
        mirror = tf.random.stateless_uniform((), (seed, -1 - number)) < 0.5
        image = tf.cond(mirror, lambda: image[:, ::-1], lambda: image)
    return tf.ensure_shape(image, (*size, 3))


_CROP_TRIES = 10


def _random_crop(shape, random, min_scale: float, aspect: float = 1.0):
    """torchvision's RandomResizedCrop: the first of ten tries that fits, else the middle.

    `aspect` is the width of the result by its height.
    """
    height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
    area = height * width * (min_scale + (1 - min_scale) * random[:, 0])
    log_ratio = tf.math.log(4 / 3)
    ratio = aspect * tf.exp(log_ratio * (2 * random[:, 1] - 1))
    widths = tf.round(tf.sqrt(area * ratio))
    heights = tf.round(tf.sqrt(area / ratio))
    fits = (widths >= 1) & (heights >= 1) & (widths <= width) & (heights <= height)
    # After the tries: the largest middle part of an allowed ratio.
    widths = tf.concat([widths, [tf.minimum(width, tf.round(height * aspect * 4 / 3))]], 0)
    heights = tf.concat([heights, [tf.minimum(height, tf.round(width / aspect * 4 / 3))]], 0)
    tops = tf.floor(random[:, 2] * (height + 1 - heights[:-1]))
    lefts = tf.floor(random[:, 3] * (width + 1 - widths[:-1]))
    tops = tf.concat([tops, [tf.floor((height - heights[-1]) / 2)]], 0)
    lefts = tf.concat([lefts, [tf.floor((width - widths[-1]) / 2)]], 0)
    chosen = tf.argmax(tf.concat([fits, [True]], 0))
    crop = tf.stack([tops, lefts, heights, widths])[:, chosen]
    return tf.unstack(tf.cast(crop, tf.int32))


def _centre(image, size: Size, crop_fraction: float):
    """The centre of uint8 [h, w, 3] at `size`, see `eval_batches`."""
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float64))
    sides = (
        tf.minimum(height, width * (size[0] / size[1])),
        tf.minimum(width, height * (size[1] / size[0])),
    )
    # Resizing the whole and cutting the size out of it would be the same but slower.
    kept = tf.maximum(tf.cast(tf.round(tf.stack(sides) * crop_fraction), tf.int32), 1)
    top, left = tf.unstack((tf.shape(image)[:2] - kept) // 2)
    image = _resized(image[top : top + kept[0], left : left + kept[1]], *size)
    return tf.ensure_shape(image, (*size, 3))


def _resized(image, height: int, width: int):
    """Bilinear, antialiased where it shrinks; whole pixel values."""
    shape = tf.shape(image)
    same = (shape[0] == height) & (shape[1] == width)
    shrinks = (shape[0] > height) | (shape[1] > width)

    def resize(antialias: bool):
        resized = tf.image.resize(image, (height, width), antialias=antialias)
        return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)

    return tf.cond(
        same,
        lambda: image,
        lambda: tf.cond(shrinks, lambda: resize(True), lambda: resize(False)),
    )
