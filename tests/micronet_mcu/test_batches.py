"""Images in every form that `model.predict` and TensorFlow Lite's converter take."""

import numpy as np
import pytest

from micronet_mcu.batches import batches
from micronet_mcu.errors import UserError

SHAPE = (2, 3, 1)
MANY = np.arange(70 * 6, dtype=np.float32).reshape(70, *SHAPE)
TWO, LABELS = MANY[:2], np.arange(2)


class Sequence:
    """As keras.utils.PyDataset: places, a length, and no end when it is iterated."""

    def __len__(self):
        return 2

    def __getitem__(self, place):
        return MANY[place * 2 : place * 2 + 2], LABELS


class Image:
    """As PIL's: neither a shape nor a type of numpy's."""

    def __init__(self, array):
        self.__array_interface__ = array.__array_interface__
        self.array = array


FORMS = {
    "array": (MANY, [32, 32, 6]),
    "image": (MANY[0], [1]),
    "list": ([MANY], [70]),
    "batches": ([MANY[:2], MANY[2:5]], [2, 3]),
    "images": (list(MANY), [32, 32, 6]),
    "pictures": ([Image(MANY[0]), Image(MANY[1])], [2]),
    "with labels": ((TWO, LABELS), [2]),
    "tuple of batches": ((MANY[:2], MANY[2:4]), [2, 2]),
    "generator": ((MANY[i : i + 2] for i in (0, 2)), [2, 2]),
    "labelled batches": ([(TWO, LABELS), (MANY[2:4], LABELS)], [2, 2]),
    "lists as of a DataLoader": ([[TWO, LABELS], [MANY[2:4], LABELS]], [2, 2]),
    "dictionaries": ([{"image": TWO}], [2]),
    "sequence": (Sequence(), [2, 2]),
    "representative_dataset": (lambda: ([image[None]] for image in MANY), [32, 32, 6]),
    "ones among others": ([MANY[:1], MANY[1:3], MANY[3:4]], [1, 2, 1]),
}


@pytest.mark.parametrize(("given", "sizes"), FORMS.values(), ids=FORMS)
def test_all_forms_are_the_same_images_in_their_order(given, sizes):
    found = list(batches(given, SHAPE))
    assert [len(batch) for batch in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), MANY[: sum(sizes)])


class Endless:
    """As tf.data's `repeat`."""

    def cardinality(self):
        return -1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "Received: NoneType"),
        ("pictures", "Received: pictures"),
        (7, "tf.data.Dataset or a function that gives batches. Received: int"),
        ({"a": TWO}, "Received: dict"),
        ([], "no images; give at least one batch"),
        (MANY[:0], "a batch of images is empty"),
        ([TWO, MANY[:0]], "a batch of images is empty"),
        ([None], "must be an array of images. Received: NoneType"),
        ([1.0], "must be an array of images. Received: float"),
        ([np.float64(1)], r"the model takes images of \(2, 3, 1\), these are \(\)"),
        (MANY[..., 0], r"add the axis of the channels: images\[..., None\]"),
        (MANY.reshape(70, 1, 2, 3), "put the channels last"),
        (MANY[:, :1], r"images of \(2, 3, 1\), these are \(1, 3, 1\); choose that image size"),
        (MANY.astype(str), "images must be numbers"),
        (lambda missing: missing, "a function must take no arguments"),
        (Endless(), r"without end; cut it with .take\(batches\)"),
    ],
)
def test_what_is_none_of_them_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        list(batches(given, SHAPE))
