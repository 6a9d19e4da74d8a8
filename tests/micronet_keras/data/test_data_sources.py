"""Finding a dataset: bundled, TFDS, folder; what is wrong with one is said in a line."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from micronet_keras.data import (
    MicronetShapes,
    eval_batches,
    load_dataset,
    sources,
    train_batches,
)
from micronet_mcu.errors import UserError


@pytest.fixture(scope="module")
def tfds_dir(tmp_path_factory):
    """A data_dir with a small `micronet_shapes`, so that nothing large is drawn."""
    folder = tmp_path_factory.mktemp("tfds")
    config = MicronetShapes.BUILDER_CONFIGS[0]
    sizes = {"train": 30, "validation": 10, "test": 10}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "examples", sizes)
        MicronetShapes(data_dir=folder).download_and_prepare()
    return folder


def test_bundled(tfds_dir):
    source = load_dataset(data_dir=tfds_dir)
    assert source.name == "micronet_shapes"
    assert source.class_names[0] == "circle" and len(source.class_names) == 10
    assert source.splits == {"train": 30, "validation": 10, "test": 10}
    assert source.crop_fraction == 1.0 and source.has_labels
    records = list(source.raw("test"))
    assert set(records[0]) == {"image", "label", "objects", "record"}
    assert records[3]["record"] == b"test[3]"
    assert records[0]["image"].numpy().startswith(b"\x89PNG")
    again = list(source.raw("test"))
    assert [r["image"].numpy() for r in records] == [r["image"].numpy() for r in again]


def test_a_builder_of_tfds_is_a_dataset(tfds_dir):
    source = load_dataset(MicronetShapes(data_dir=tfds_dir))
    assert source.splits == load_dataset(data_dir=tfds_dir).splits
    assert len(list(source.raw("test"))) == 10


def test_unknown_split(tfds_dir):
    with pytest.raises(UserError, match="no split 'val'; it has: .*validation"):
        load_dataset(data_dir=tfds_dir).raw("val")


class _OneExample(tfds.core.GeneratorBasedBuilder):
    """A dataset of one example in one split."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(self.FEATURES)
        )

    def _split_generators(self, dl_manager):
        return {"train": iter([(0, self.EXAMPLE)])}

    def _generate_examples(self):
        raise NotImplementedError


class FoundPets(_OneExample):
    """Detection: the objects name the classes."""

    FEATURES = {
        "image": tfds.features.Image(),
        "objects": tfds.features.Sequence(
            {
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            }
        ),
    }
    EXAMPLE = {
        "image": np.zeros((4, 4, 3), np.uint8),
        "objects": [{"bbox": tfds.features.BBox(0.1, 0.2, 0.3, 0.4), "label": 1}],
    }


class OddNames(_OneExample):
    FEATURES = {
        "photo": tfds.features.Image(shape=(None, None, 1)),
        "kind": tfds.features.ClassLabel(names=["a", "b"]),
    }
    EXAMPLE = {"photo": np.zeros((4, 4, 1), np.uint8), "kind": 1}


class OnlyWords(_OneExample):
    FEATURES = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}
    EXAMPLE = {"text": "hello", "label": 0}


def test_objects_without_a_label_of_the_image(tmp_path):
    source = load_dataset("found_pets", data_dir=tmp_path)
    assert not source.has_labels and source.crop_fraction == 0.875
    assert source.class_names == ["cat", "dog"] and source.splits == {"train": 1}
    assert set(next(iter(source.raw("train")))) == {"image", "objects", "record"}
    for make in (lambda: train_batches(source, "train", 8, 1, 0),
                 lambda: eval_batches(source, "train", 8, 1)):  # fmt: skip
        with pytest.raises(UserError, match="no label per image, only labelled objects"):
            make()


def test_other_names_of_image_and_label(tmp_path):
    source = load_dataset("odd_names", data_dir=tmp_path)
    record = next(iter(source.raw("train")))
    assert set(record) == {"image", "label", "record"} and record["label"] == 1
    # Greyscale becomes RGB.
    images, labels = next(iter(eval_batches(source, "train", 8, 1)))
    assert images.shape == (1, 8, 8, 3) and labels.numpy().tolist() == [1]


def test_dataset_without_images(tmp_path):
    with pytest.raises(UserError, match=r"needs an image .* text \(Text\), label \(ClassLabel\)"):
        load_dataset("only_words", data_dir=tmp_path)


def test_mock_data(tmp_path):
    OddNames(data_dir=tmp_path).download_and_prepare()
    files = tfds.testing.MockPolicy.USE_FILES
    with tfds.testing.mock_data(num_examples=5, policy=files, data_dir=str(tmp_path)):
        source = load_dataset("odd_names", data_dir=tmp_path)
        images, labels = next(iter(eval_batches(source, "train", 96, 8)))
    assert images.shape == (5, 96, 96, 3) and labels.shape == (5,)


@pytest.mark.parametrize("name", ["no_such_dataset", "a b", "", "hub:thing"])
def test_unknown_dataset(name):
    with pytest.raises(UserError, match="unknown dataset .* 'micronet_shapes' .bundled."):
        load_dataset(name)


def test_unknown_configuration_and_version():
    with pytest.raises(UserError, match="no configuration 'huge'; there are: single, multi"):
        load_dataset("micronet_shapes/huge")
    with pytest.raises(UserError, match="cannot open dataset"):
        load_dataset("micronet_shapes:9.9.9")


def test_download_without_network(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_resolves", lambda host: False)
    monkeypatch.setattr(sources.urllib.request, "getproxies", dict)
    with pytest.raises(UserError, match="cannot download dataset 'mnist' .* cannot be reached"):
        load_dataset("mnist", data_dir=tmp_path)


def test_data_dir_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="cannot prepare dataset 'micronet_shapes'"):
        load_dataset(data_dir=tmp_path / "file")
