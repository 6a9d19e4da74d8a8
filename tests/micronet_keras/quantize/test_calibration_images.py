"""Which training images give the ranges: from all over the split, however it is ordered."""

from picture_folders import paint_folder

from micronet_keras.data import load_dataset
from micronet_keras.quantize.quantize import calibration_images
from micronet_keras.tasks import CLASSIFICATION, replace
from micronet_keras.train import with_validation

CONFIG = replace(CLASSIFICATION.recipes["quick"], image_size=32, batch_size=8)


def reds(batches):
    """The classes of `paint_folder` differ in red: class k has 60 * k."""
    return [int(image[..., 0].mean()) for batch in batches for image in batch]


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
