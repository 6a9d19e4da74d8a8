"""Arrays and tf.data sets as datasets: pixels, labels and splits stay what they are."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from picture_folders import paint_folder

from micronet_keras.data import as_source, class_counts, eval_batches, fit_arguments, load_dataset

# Image i is all of brightness i, of class i % 3.
IMAGES = np.repeat(np.arange(40, dtype=np.uint8), 6 * 8 * 3).reshape(40, 6, 8, 3)
LABELS = np.arange(40) % 3


def everything(source, split):
    """{brightness: label} of a split."""
    (batch,) = eval_batches(source, split, 6, 100)
    return {int(image[0, 0, 0]): int(label) for image, label in zip(*batch, strict=True)}


def shuffled_batches():
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).shuffle(40).batch(16)


@pytest.mark.parametrize(
    "given",
    [
        lambda: (IMAGES, LABELS),
        lambda: ((IMAGES.astype("float32"), np.eye(3)[LABELS]),),
        lambda: (shuffled_batches(),),
        lambda: (shuffled_batches().unbatch(),),
        lambda: (IMAGES[..., :1].astype("int64"), LABELS[:, None].astype("float64")),
    ],
    ids=["arrays", "floats, one-hot", "tf.data", "single images", "grey, a column"],
)
def test_all_forms_are_divided_whole(given):
    source = as_source(*given())
    assert source.splits == {"train": 32, "validation": 4, "test": 4}
    parts = [everything(source, split) for split in source.splits]
    assert {k: v for part in parts for k, v in part.items()} == {i: i % 3 for i in range(40)}
    assert sum(map(len, parts)) == 40 and everything(source, "test") == parts[2]
    assert sum(class_counts(source, "train").values()) == 32
    assert source.class_names == ["0", "1", "2"]


def test_splits_as_they_are_given():
    source = as_source({"train": (IMAGES[:30], LABELS[:30]), "test": shuffled_batches()})
    assert source.splits == {"train": 30, "test": 40}
    assert everything(source, "train") == {i: i % 3 for i in range(30)}


def test_image_dataset_from_directory(tmp_path):
    paint_folder(tmp_path, ["ape", "bee"], 10)
    found = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(16, 20), batch_size=4, label_mode="categorical", verbose=False
    )
    source = as_source(found)
    assert source.class_names == ["ape", "bee"] and sum(source.splits.values()) == 20
    (pixels, labels), *_ = eval_batches(source, "train", 16, 16)
    # `paint_folder`: the second class has more red.
    assert pixels[:, 0, 0, 0].numpy().tolist() == (labels * 60).numpy().tolist()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((IMAGES / 255, LABELS), "no pixel is above 0.153; pixels must be from 0 to 255"),
        ((IMAGES / 1.0 - 128, LABELS), "pixels must be from 0 to 255, .* Received: -128.0 to"),
        ((IMAGES * np.nan, LABELS), "pixels must be from 0 to 255"),
        ((IMAGES[0], LABELS[:6]), "images must be .n, height, width"),
        ((IMAGES, LABELS[:5]), "as many images as labels. Received: 40 images, 5 labels"),
        ((IMAGES, LABELS / 2), "labels must be whole numbers from 0"),
        ((IMAGES, LABELS - 1), "labels must be whole numbers from 0"),
        ((IMAGES, np.full((40, 3), 1 / 3)), "labels of two axes must be one-hot"),
        ((IMAGES,), "labels are missing"),
        ((IMAGES[:0], LABELS[:0]), "Received: 0 images"),
        ((shuffled_batches().repeat(),), "never ends; leave out repeat"),
        ((shuffled_batches().map(lambda x, y: x),), "must be of .images, labels."),
    ],
)
def test_nonsense_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        as_source(*given)


def test_labels_beyond_the_names_are_refused():
    with pytest.raises(ValueError, match="labels must be below 2, the classes. Received: 2"):
        as_source(IMAGES, LABELS, class_names=["a", "b"])


def test_every_epoch_of_fit_is_augmented_anew(tmp_path):
    source = load_dataset(str(paint_folder(tmp_path / "train", ["a", "b"], 10).parent))
    arguments = fit_arguments(source, 16, 6, epochs=2, preprocess=lambda x: tf.cast(x, "float32"))
    assert (arguments["epochs"], arguments["steps_per_epoch"]) == (2, 3)
    batches = list(arguments["x"])
    assert len(batches) == 6 and batches[0][0].dtype == tf.float32
    first, second = (tf.concat([y for _, y in batches[i : i + 3]], 0) for i in (0, 3))
    assert first.numpy().tolist() != second.numpy().tolist()
    watched = arguments["validation_data"].take(arguments["validation_steps"])
    assert sum(len(labels) for _, labels in watched) == 2
