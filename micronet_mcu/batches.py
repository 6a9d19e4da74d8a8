"""Images in the forms that people have them in, as one batch after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from micronet_mcu.errors import UserError

# Of what comes as one array, or image by image; that of Keras' `predict`.
BATCH_SIZE = 32


def batches(images: Any, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """What ``model.predict`` takes, and what TensorFlow Lite's converter takes, batch by batch.

    Args:
        images: one of

            - an array or a tensor of any library, [n, height, width, channels]; cut into batches of
              `BATCH_SIZE`;
            - a tuple ``(images, labels)``, of which the images are taken;
            - anything that gives batches when one goes through it: a list, a generator, a
              tf.data.Dataset, a DataLoader, a PyDataset. A batch may be a tuple or a list with
              labels behind the images, or a dictionary of one entry. Single images, and batches of
              one, are joined until they are `BATCH_SIZE`;
            - a function without arguments that returns one of these, as ``representative_dataset``.
        shape: of one image: (height, width, channels).

    Returns:
        An iterator over batches [n, height, width, channels], n at least 1, of the dtype that they
        came in.

    Raises:
        UserError: there are no images, they are of another shape or no numbers, or it is none of
            these.

    Example:

    >>> pixels = np.zeros((2, 8, 8, 3), "uint8")
    >>> [len(batch) for batch in batches(((pixels, [0, 1]) for _ in range(3)), (8, 8, 3))]
    [2, 2, 2]
    """
    single: list[np.ndarray] = []
    empty = True
    for array in _arrays(images, shape):
        empty = False
        batch = _checked(array, shape)
        if len(batch) == 1:
            single.append(batch)
        if single and (len(batch) > 1 or len(single) == BATCH_SIZE):
            yield np.concatenate(single)
            single = []
        if len(batch) > 1:
            yield batch
    if single:
        yield np.concatenate(single)
    if empty:
        raise UserError("there are no images; give at least one batch")


def _arrays(given: Any, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    array = _array(given)
    if array is not None:
        if array.ndim <= len(shape) or not len(array):
            yield array
        else:
            for start in range(0, len(array), BATCH_SIZE):
                yield array[start : start + BATCH_SIZE]
    elif isinstance(given, tuple) and not _all_images(given, shape):
        yield from _arrays(_first(given), shape)
    elif callable(given):
        try:
            returned = given()
        except TypeError as error:
            raise UserError(
                f"{_name(given)} gives no images: {error}; a function must take no arguments and "
                "return or yield batches"
            ) from error
        yield from _arrays(returned, shape)
    else:
        for element in _elements(given):
            array = _array(_first(element))
            if array is None:
                raise UserError(f"a batch must be an array of images. Received: {_name(element)}")
            yield array


def _elements(given: Any) -> Iterable[Any]:
    endless = getattr(given, "cardinality", None)
    if endless is not None and int(endless()) == -1:
        raise UserError("the dataset of images repeats without end; cut it with .take(batches)")
    if not isinstance(given, str | bytes | Mapping):
        if hasattr(given, "__iter__"):
            return given
        if hasattr(given, "__getitem__") and hasattr(given, "__len__"):
            # As a PyDataset, which Python would go through without end.
            return (given[place] for place in range(len(given)))
    raise UserError(
        "images must be an array, batches, a tf.data.Dataset or a function that gives batches. "
        f"Received: {given if isinstance(given, str) else _name(given)}"
    )


def _first(element: Any) -> Any:
    """The images of (images, labels), of [images] and of {"image": images}."""
    if isinstance(element, Mapping) and len(element) == 1:
        return next(iter(element.values()))
    if isinstance(element, tuple | list) and element:
        return element[0]
    return element


def _array(given: Any) -> np.ndarray | None:
    """An array or a tensor of any library as numpy has it; None for anything else."""
    if not hasattr(given, "__array__") and not hasattr(given, "__array_interface__"):
        return None
    try:
        return np.asarray(given)
    except Exception as error:  # Of every library, as for what lies on another device.
        raise UserError(f"{_name(given)} does not become an array: {error}") from error


def _all_images(parts: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    return len(parts) > 1 and all(tuple(np.shape(part)[1:]) == shape for part in parts)


def _checked(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As a batch of images of this shape."""
    if array.dtype.kind not in "biuf":
        # bfloat16 is of a kind that numpy calls void.
        if array.dtype.name != "bfloat16":
            raise UserError(f"images must be numbers. Received: {array.dtype}")
        array = array.astype(np.float32)
    if array.ndim == len(shape):
        array = array[None]
    if array.shape[1:] != shape:
        seen = tuple(array.shape[1:])
        advice = "choose that image size"
        if seen == (shape[-1], *shape[:-1]):
            advice = "put the channels last"
        elif array.shape[-2:] == shape[:-1]:
            advice = "add the axis of the channels: images[..., None]"
        raise UserError(f"the model takes images of {shape}, these are {seen}; {advice}")
    if not len(array):
        raise UserError("a batch of images is empty; give at least one image in each")
    return array


def _name(given: Any) -> str:
    return getattr(given, "__name__", None) or type(given).__name__
