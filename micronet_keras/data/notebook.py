"""What a notebook has in hand: arrays and tf.data sets as a dataset, a dataset for Keras' `fit`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from micronet_keras.data.hold_out import hold_out_validation
from micronet_keras.data.pipeline import eval_batches, train_batches
from micronet_keras.data.sources import Source, load_dataset

# What the images may take when they are encoded, see `as_source`.
_MOST_BYTES = 2**32
_BATCH = 256


def as_source(
    images: Any,
    labels: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    name: str = "notebook",
    seed: int = 0,
) -> Source:
    """Arrays or tf.data sets as a dataset, for `train`, `train_batches`, `quantize` and all else.

    They are read once, here, and kept as PNG: a tf.data set that shuffles itself anew whenever it
    is read would mix validation images into the training.

    Args:
        images: array [n, height, width, 1, 3 or 4] of pixels 0 to 255, whatever its type; or a
            tf.data.Dataset of (image or images, label or labels), as
            `keras.utils.image_dataset_from_directory` gives it; or a dictionary of splits, such
            as "train", "validation" and "test", of (images, labels) or tf.data sets. What is not
            divided is, at random, 80 / 10 / 10 %. A `Source` is returned as it is; the name of a
            dataset, a folder and a TFDS builder are given to `load_dataset`.
        labels: whole numbers [n], or one-hot [n, classes]; None where `images` brings them.
        class_names: of the labels; those of the tf.data set, or the numbers, when None.
        name: of the dataset, in messages and in a run's config.json.
        seed: of the division.

    Raises:
        ValueError: pixels are not 0 to 255, labels do not fit, there is an endless set, or more
            than 4 GiB: write these into a folder, and give it to `load_dataset`.

    Example:

    >>> source = as_source(np.zeros((10, 32, 32, 3), "uint8"), np.arange(10) % 2)
    >>> source.splits, source.class_names
    ({'train': 8, 'validation': 1, 'test': 1}, ['0', '1'])
    """
    if isinstance(images, Source):
        return images
    if isinstance(images, str | os.PathLike | tfds.core.DatasetBuilder):
        return load_dataset(images)
    given = images if isinstance(images, Mapping) else {"": images}
    parts = {split: _encoded(part, labels, split or name) for split, part in given.items()}
    names = class_names or next(
        (part.class_names for part in given.values() if hasattr(part, "class_names")), None
    )
    most = max(int(numbers.max()) for _, numbers in parts.values())
    names = list(map(str, range(most + 1) if names is None else names))
    if most >= len(names):
        raise ValueError(f"labels must be below {len(names)}, the classes. Received: {most}")
    if "" in parts:
        parts = _divided(*parts[""], seed)

    def read_labels(split: str) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(tf.constant(parts[split][1], tf.int64))

    def read(split: str) -> tf.data.Dataset:
        encoded = tf.data.Dataset.from_tensor_slices(tf.constant(parts[split][0], tf.string))
        both = tf.data.Dataset.zip(encoded, read_labels(split)).enumerate()
        return both.map(
            lambda number, record: {
                "image": record[0],
                "label": record[1],
                "record": tf.strings.join([split, "[", tf.strings.as_string(number), "]"]),
            }
        )

    return Source(
        name,
        names,
        {split: len(numbers) for split, (_, numbers) in parts.items()},
        has_labels=True,
        crop_fraction=1.0,
        read=read,
        read_labels=read_labels,
    )


def fit_arguments(
    source: Any,
    image_size: int | tuple[int, int],
    batch_size: int,
    epochs: int,
    *,
    seed: int = 0,
    min_scale: float = 0.7,
    flip: bool = True,
    preprocess: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> dict[str, Any]:
    """What Keras' `fit` takes to train on a dataset, augmented anew in every epoch.

    Args:
        source: of `as_source` or `load_dataset`, or what `as_source` takes alone; a tenth of its
            training split is set aside where it has no validation split.
        image_size, batch_size, epochs, seed, min_scale, flip: as of `train_batches`.
        preprocess: of uint8 pixels [batch, height, width, 3], as the model takes them, e.g.
            `micronet_keras.preprocess_input`; None hands the pixels over.

    Returns:
        `x`, `epochs`, `shuffle`, `steps_per_epoch`, `validation_data` and `validation_steps`.

    Raises:
        UserError, ValueError: as of `train_batches`.

    Example:

    >>> arguments = fit_arguments(source, 32, 8, epochs=2)
    >>> arguments["steps_per_epoch"], arguments["validation_steps"]
    (6, 1)
    >>> tiny = keras.Sequential([
    ...     keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> tiny.compile("adam", loss, jit_compile=False)
    >>> len(tiny.fit(**arguments, verbose=0).history["val_loss"])
    2
    """
    source = hold_out_validation(as_source(source), "train", "validation", every=10)
    batches = train_batches(
        source, "train", image_size, batch_size, seed, epochs=epochs, min_scale=min_scale, flip=flip
    )
    watched = eval_batches(source, "validation", image_size, batch_size)

    def prepared(pixels, labels):
        return (preprocess(pixels) if preprocess else pixels), labels

    return {
        "x": batches.map(prepared, num_parallel_calls=tf.data.AUTOTUNE),
        "epochs": epochs,
        "shuffle": False,  # They are.
        "steps_per_epoch": source.splits["train"] // batch_size,
        # Keras warns of data that end and do not know when, as some images may not decode.
        "validation_data": watched.map(prepared, num_parallel_calls=tf.data.AUTOTUNE).repeat(),
        "validation_steps": -(-source.splits["validation"] // batch_size),
    }


def _divided(
    encoded: list[bytes], numbers: np.ndarray, seed: int
) -> dict[str, tuple[list[bytes], np.ndarray]]:
    order = np.random.default_rng(seed).permutation(len(encoded))
    tenth = len(order) // 10
    ends = {
        "train": order[2 * tenth :],
        "validation": order[:tenth],
        "test": order[tenth : 2 * tenth],
    }
    return {
        split: ([encoded[i] for i in places], numbers[places])
        for split, places in ends.items()
        if len(places)
    }


def _encoded(part: Any, labels: Any, where: str) -> tuple[list[bytes], np.ndarray]:
    """The images as PNG, and their labels int64 [n]."""
    encoded: list[bytes] = []
    numbers: list[np.ndarray] = []
    largest, size = 0.0, 0
    is_float = False
    for images, classes in _batches(part, labels, where):
        if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
            raise ValueError(
                f"{where}: images must be [n, height, width, 1, 3 or 4]. Received: {images.shape}"
            )
        if images.size and not (np.min(images) >= 0 and np.max(images) <= 255):
            raise ValueError(
                f"{where}: pixels must be from 0 to 255, as before any preprocessing. Received: "
                f"{np.min(images)} to {np.max(images)}"
            )
        largest = max(largest, float(images.max(initial=0)))
        is_float |= images.dtype.kind == "f"
        for image in np.round(images).astype(np.uint8):
            encoded.append(tf.io.encode_png(image, compression=1).numpy())
            size += len(encoded[-1])
        if size > _MOST_BYTES:
            raise ValueError(
                f"{where}: the images take more than {_MOST_BYTES >> 30} GiB; write them into a "
                "folder with a sub-folder per class, and give that to load_dataset"
            )
        numbers.append(_numbers(classes, len(images), where))
    if not encoded:
        raise ValueError(f"{where}: there are no images")
    if is_float and largest <= 1:
        raise ValueError(
            f"{where}: no pixel is above {largest:.3g}; pixels must be from 0 to 255: multiply them"
        )
    return encoded, np.concatenate(numbers)


def _batches(part: Any, labels: Any, where: str) -> Iterator[tuple[np.ndarray, Any]]:
    if isinstance(part, tf.data.Dataset):
        spec = part.element_spec
        if not isinstance(spec, tuple) or len(spec) < 2 or labels is not None:
            raise ValueError(
                f"{where}: a tf.data set must be of (images, labels). Received: {spec}"
            )
        if part.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(f"{where}: the tf.data set never ends; leave out repeat()")
        for images, classes, *_ in part.as_numpy_iterator():
            single = np.ndim(images) == 3
            yield (images[None], [classes]) if single else (images, classes)
        return
    if labels is None:
        if not isinstance(part, tuple | list) or len(part) != 2:
            raise ValueError(f"{where}: labels are missing; give (images, labels)")
        part, labels = part
    images, labels = np.asarray(part), np.asarray(labels)
    if not len(images) or len(images) != len(labels):
        raise ValueError(
            f"{where}: there must be as many images as labels. Received: {len(images)} images, "
            f"{len(labels)} labels"
        )
    for start in range(0, len(images), _BATCH):
        yield images[start : start + _BATCH], labels[start : start + _BATCH]


def _numbers(labels: Any, count: int, where: str) -> np.ndarray:
    """Labels int64 [n] of whole numbers [n] or [n, 1], or one-hot [n, classes]."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        ones = (labels == 1).sum(axis=1) == 1
        if not (ones & ((labels == 0).sum(axis=1) == labels.shape[1] - 1)).all():
            raise ValueError(f"{where}: labels of two axes must be one-hot")
        return labels.argmax(axis=1)
    labels = labels.reshape(-1)
    if labels.dtype.kind not in "iufb" or (labels != np.floor(labels)).any() or (labels < 0).any():
        raise ValueError(f"{where}: labels must be whole numbers from 0. Received: {labels[:5]}")
    if len(labels) != count:
        raise ValueError(f"{where}: {count} images have {len(labels)} labels")
    return labels.astype(np.int64)
