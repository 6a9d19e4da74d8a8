"""The bundled dataset: the same everywhere, correct boxes and keypoints, separate splits."""

import hashlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet_keras.data import MicronetShapes, ShapesConfig, drawing, figures, scenes

_SCENES = st.tuples(st.integers(0, 2**31), st.sampled_from([1, 4]))


def _scene(number: int, max_objects: int):
    size = 96 if max_objects == 1 else 128
    return scenes.draw_scene((max_objects, number), size, max_objects=max_objects)


def test_random_numbers_are_those_of_pcg64():
    stream = drawing.RandomStream(1, 2, 3)
    raw = np.random.PCG64(np.random.SeedSequence((1, 2, 3))).random_raw(3)
    assert [stream.uniform() for _ in range(2)] == [int(r >> 11) / 2**53 for r in raw[:2]]
    assert stream.pixels(4).tolist() == [(int(raw[2]) >> 16 * i & 0xFFFF) / 65536 for i in range(4)]


def test_images_are_the_same_on_every_machine():
    images = [_scene(number, m)[0] for m in (1, 4) for number in range(10)]
    digest = hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()
    # Whoever changes the pictures raises MicronetShapes.VERSION and puts the new digest here.
    assert digest == "ddbff66598443ace1c63bf2af5f2dd645d6736f2eb079c41bfd7f87b63f29a27"


def test_an_image_depends_on_its_key_alone():
    first, _ = scenes.draw_scene((1, 7), 96)
    scenes.draw_scene((1, 8), 96)
    again, _ = scenes.draw_scene((1, 7), 96)
    other, _ = scenes.draw_scene((2, 7), 96)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=100)
@given(_SCENES)
def test_boxes_and_keypoints_lie_in_the_image(key):
    image, objects = _scene(*key)
    size = image.shape[0]
    assert image.dtype == np.uint8 and image.shape == (size, size, 3)
    assert 1 <= len(objects) <= key[1]
    assert [item.area for item in objects] == sorted((i.area for i in objects), reverse=True)
    for item in objects:
        top, left, bottom, right = item.box
        assert 0 <= top < bottom <= size and 0 <= left < right <= size
        assert 0.1 * (bottom - top) * (right - left) < item.area <= (bottom - top) * (right - left)
        names = figures.KEYPOINT_NAMES[figures.CLASS_NAMES[item.label]]
        labelled = item.keypoints[:, 2] > 0
        assert labelled.tolist() == [index < len(names) for index in range(17)]
        x, y, visibility = item.keypoints[: len(names)].T
        assert ((left <= x) & (x <= right) & (top <= y) & (y <= bottom)).all()
        assert np.isin(visibility, (1, 2)).all()
        assert not item.keypoints[len(names) :].any()


@pytest.mark.parametrize("label", range(10))
def test_the_box_encloses_the_pixels_of_the_figure(label):
    for number in range(5):
        grey = np.full(3, 128, np.float32)
        canvas, owner = np.full((3, 96, 96), 128, np.float32), np.full((96, 96), -1, np.int8)
        stream = drawing.RandomStream(label, number)
        item = scenes._draw_object(stream, canvas, owner, 0, label, (40.5, 52.0, 30.0), grey)
        rows, columns = np.nonzero(owner == 0)
        assert item.box == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        assert item.area == len(rows)
        painted = np.abs(canvas - 128).max(0) > 5
        assert painted[owner == 0].mean() > 0.98
        # Outside are only half-covered pixels and thin ends and, where it has one, the contour.
        outside = (painted & (owner != 0)).sum()
        assert outside < 4 * (item.box[2] - item.box[0] + item.box[3] - item.box[1])


def test_hidden_keypoints_are_marked():
    visibility = [v for n in range(60) for o in _scene(n, 4)[1] for v in o.keypoints[:, 2] if v > 0]
    assert 0.01 < np.mean(np.array(visibility) == 1) < 0.3


def test_a_person_faces_the_viewer():
    for number in range(20):
        _, (person,) = scenes.draw_scene((9, number), 96, [figures.CLASS_NAMES.index("person")])
        points = dict(zip(figures.KEYPOINT_NAMES["person"], person.keypoints, strict=True))
        assert points["left_shoulder"][0] > points["right_shoulder"][0]
        assert points["nose"][1] < points["left_hip"][1]


def test_polygon_distance():
    x, y = np.array([0.0, 2.0, 0.5]), np.array([0.0, 0.0, 0.0])
    square = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    assert drawing.polygon(x, y, square).tolist() == [-1.0, 1.0, -0.5]


def test_unknown_class():
    with pytest.raises(ValueError, match="Received: 'blob'"):
        figures.make_figure("blob", drawing.RandomStream(0))


def _tiny(**changes) -> ShapesConfig:
    return ShapesConfig(
        name="tiny", examples={"train": 40, "validation": 10, "test": 20}, **changes
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    builder = MicronetShapes(config=_tiny(), data_dir=tmp_path_factory.mktemp("tfds"))
    builder.download_and_prepare()
    return builder


def test_builder_stores_what_was_drawn(built):
    drawn = {}
    for index in range(20):
        image, objects = scenes.draw_scene((1, 3, index), 96, [index % 10])
        drawn[image.tobytes()] = objects[0]
    for example in tfds.as_numpy(built.as_dataset(split="test")):
        item = drawn.pop(example["image"].tobytes())
        assert example["label"] == item.label == example["objects"]["label"][0]
        np.testing.assert_allclose(example["objects"]["bbox"][0] * 96, item.box, atol=1e-4)
        keypoints = example["objects"]["keypoints"][0] * [96, 96, 1]
        np.testing.assert_allclose(keypoints, item.keypoints, atol=1e-4)
        assert example["objects"]["area"][0] == item.area
        assert not example["objects"]["is_crowd"][0]
    assert not drawn


def test_no_training_image_is_in_another_split(built):
    images = {
        split: {e["image"].tobytes() for e in tfds.as_numpy(built.as_dataset(split=split))}
        for split in ("train", "validation", "test")
    }
    assert {split: len(found) for split, found in images.items()} == {
        "train": 40, "validation": 10, "test": 20
    }  # fmt: skip
    assert len(set.union(*images.values())) == 70


def test_classes_are_balanced(built):
    labels = [example["label"] for example in tfds.as_numpy(built.as_dataset(split="train"))]
    assert np.bincount(labels).tolist() == [4] * 10


def test_configurations():
    assert list(MicronetShapes.builder_configs) == ["single", "multi"]
    single, multi = MicronetShapes.BUILDER_CONFIGS
    assert (single.max_objects, multi.max_objects) == (1, 4)
    for config in (single, multi):
        assert config.examples == {"train": 8000, "validation": 1000, "test": 1000}


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    builder = MicronetShapes(config=_tiny(), data_dir=tmp_path)
    example = MicronetShapes._example

    def interrupted(self, split, index):
        if split == "test" and index == 10:
            raise KeyboardInterrupt
        return example(self, split, index)

    monkeypatch.setattr(MicronetShapes, "_example", interrupted)
    with pytest.raises(KeyboardInterrupt):
        builder.download_and_prepare()
    assert not builder.is_prepared()
    assert not [path for path in tmp_path.rglob("*") if "tfrecord" in path.name]
    monkeypatch.setattr(MicronetShapes, "_example", example)
    again = MicronetShapes(config=_tiny(), data_dir=tmp_path)
    again.download_and_prepare()
    assert again.info.splits["test"].num_examples == 20


@pytest.mark.slow
def test_a_linear_classifier_fails():
    """Ridge regression on the pixels stays near chance: the task needs shapes, not colours."""
    count, test_count = 1500, 400

    def pixels(split, number):
        images = [scenes.draw_scene((1, split, i), 96, [i % 10])[0] for i in range(number)]
        small = np.stack(images).reshape(number, 24, 4, 24, 4, 3).mean((2, 4))
        return small.reshape(number, -1) / 127.5 - 1, np.arange(number) % 10

    x, y = pixels(1, count)
    x_test, y_test = pixels(3, test_count)
    kernel = x @ x.T
    targets = np.eye(10)[y] - 0.1
    accuracies = []
    for strength in (1e2, 1e3, 1e4):
        weights = x.T @ np.linalg.solve(kernel + strength * np.eye(count), targets)
        accuracies.append(np.mean((x_test @ weights).argmax(1) == y_test))
    assert max(accuracies) < 0.35
