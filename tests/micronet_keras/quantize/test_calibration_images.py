"""Which training images give the ranges: from all over the split, however it is ordered."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_folders import paint_folder

from micronet_keras.data import load_dataset, spread
from micronet_keras.data.sources import Source
from micronet_keras.quantize.quantize import calibration_images
from micronet_keras.tasks import CLASSIFICATION, replace
from micronet_keras.train import with_validation

CONFIG = replace(CLASSIFICATION.recipes["quick"], image_size=32, batch_size=8)


def reds(batches):
    """The classes of `paint_folder` differ in red: class k has 60 * k."""
    return [int(image[..., 0].mean()) for batch in batches for image in batch]


@pytest.mark.slow
def test_every_class_of_a_sorted_folder_is_seen(tmp_path):
    paint_folder(tmp_path / "train", ["a", "b", "c", "d"], 20, size=(32, 32))
    source = with_validation(load_dataset(str(tmp_path)), replace(CONFIG, test_split="").training)
    batches = calibration_images(CLASSIFICATION, source, CONFIG, 12)
    found = reds(batches)
    assert len(found) == 12
    assert {round(red / 60) for red in found} == {0, 1, 2, 3}
    assert all(len(batch) <= 8 for batch in batches)
    # The same ones each time, and all of them where more are wanted than there are.
    assert reds(calibration_images(CLASSIFICATION, source, CONFIG, 12)) == found
    assert len(reds(calibration_images(CLASSIFICATION, source, CONFIG, 1000))) == 72


def numbers(total, count):
    """What `spread` takes of a split of numbers."""
    splits = {"train": total, "test": 3}
    source = Source(
        "numbers", [], splits, True, 1.0, lambda split: tf.data.Dataset.range(splits[split])
    )
    chosen = spread(source, "train", count)
    assert list(chosen.read("test").as_numpy_iterator()) == [0, 1, 2]
    found = [int(number) for number in chosen.read("train").as_numpy_iterator()]
    assert len(found) == chosen.splits["train"]
    return found


@pytest.mark.slow
@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 70))
def test_every_piece_of_the_split_gives_one(total, count):
    found = numbers(total, count)
    assert len(found) == min(total, count)
    for piece, number in enumerate(found):
        assert piece * total // len(found) <= number < (piece + 1) * total // len(found)


def test_classes_in_turn_are_all_seen():
    for period in (2, 3, 4, 10):
        assert {number % period for number in numbers(40 * period, 40)} == set(range(period))
