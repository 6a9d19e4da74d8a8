"""Keypoints that are not a person's: from one's own folder to figures."""

import json

import numpy as np
import pytest
from PIL import Image
from stick_figures import tiny_backbone
from tiny_tasks import HEAD

from micronet_keras.data import load_dataset
from micronet_keras.models import MicroNetPoseEstimator
from micronet_keras.tasks import KEYPOINTS, KeypointConfig, TrainConfig, replace
from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON, skeleton_of
from micronet_keras.tasks.keypoints.targets import eval_batches, train_batches
from micronet_mcu.errors import UserError

CONFIG = KeypointConfig(
    training=TrainConfig(image_size=64, batch_size=2, epochs=1), rotation=0.0, zoom=0.0
)
NAMES = ["hub", "tip_l", "tip_r"]


def gauges(folder, category=None, skeleton=None, **changes):
    """Two pictures of 80 x 64 pixels, each with a gauge of three keypoints and a screw."""
    (folder / "train").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (80, 64), (20, 40, 60)).save(folder / "train" / name)
    gauge = {"category_id": 1, "bbox": [10, 10, 40, 40],
             "keypoints": [29.5, 29.5, 2, 14.5, 39.5, 2, 44.5, 19.5, 1]} | changes  # fmt: skip
    screw = {"category_id": 2, "bbox": [1, 1, 4, 4]}
    content = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "annotations": [
            {"id": 10 * image + i, "image_id": image, **thing}
            for image in (1, 2)
            for i, thing in enumerate((gauge, screw))
        ],
        "categories": [
            {"id": 1, "name": "Gauge", "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]]}
            | (category or {}),
            {"id": 2, "name": "screw"},
        ],
    }
    (folder / "train" / "coco.json").write_text(json.dumps(content))
    if skeleton is not None:
        (folder / "skeleton.json").write_text(json.dumps(skeleton))
    return str(folder)


@pytest.mark.slow
def test_a_folder_with_keypoints_of_its_own(tmp_path):
    more = {"sigmas": [0.02, 0.05, 0.05]}
    source = load_dataset(gauges(tmp_path, skeleton=more), annotations="keypoints")
    assert KEYPOINTS.class_names(source) == NAMES and source.object_class_names == ["Gauge"]
    skeleton = skeleton_of(source)
    assert (skeleton.mirrored, skeleton.sigmas) == ((0, 2, 1), (0.02, 0.05, 0.05))
    assert skeleton.bones == ((0, 1), (0, 2))
    people = KEYPOINTS.examples(source, "train", CONFIG)
    assert len(people) == 2 and people.problems == ""
    (batch,) = eval_batches(people, CONFIG).as_numpy_iterator()
    np.testing.assert_allclose(
        batch["keypoints"][0], [[30, 30, 2], [15, 40, 2], [45, 20, 1]], rtol=1e-5
    )
    assert batch["area"].tolist() == [1600, 1600]
    # Mirrored or not, each has its place: the hub in the middle, the tips in opposite corners.
    sides = set()
    for seed in range(6):
        ((_, targets),) = train_batches(people, replace(CONFIG, seed=seed)).as_numpy_iterator()
        hub, left, right = np.moveaxis(targets[..., :2] - 8, 1, 0)
        assert np.abs(hub).max() < 1e-4 and np.abs(left + right).max() < 1e-4
        # The left tip is at the lower left, the right one at the upper right: in the mirror that
        # is at the upper left, and is called the left one.
        assert (left[:, 0] < 0).all()
        sides |= set(np.sign(left[:, 1]))
    assert sides == {-1.0, 1.0}


def test_figures_of_ones_own_keypoints(tmp_path):
    source = load_dataset(gauges(tmp_path / "set"), annotations="keypoints")
    people = KEYPOINTS.examples(source, "train", CONFIG)
    (batch,) = eval_batches(people, CONFIG).as_numpy_iterator()
    truth = batch["target"]
    perfect = KEYPOINTS.measure(lambda pixels: truth, people, CONFIG)
    assert perfect.figures["AP"] == pytest.approx(1) and perfect.figures["OKS"] == pytest.approx(1)
    perfect.draw(tmp_path / "gauges.png", "gauges")
    assert (tmp_path / "gauges.png").stat().st_size > 5_000


@pytest.mark.slow
def test_models_have_the_keypoints_of_the_dataset(tmp_path):
    source = load_dataset(gauges(tmp_path), annotations="keypoints")
    flipped = replace(CONFIG, flip_test=True)
    model = MicroNetPoseEstimator(tiny_backbone(), HEAD, keypoints=3)
    KEYPOINTS.check(model, source, flipped)
    people = KEYPOINTS.examples(source, "train", flipped)
    assert KEYPOINTS.measure(KEYPOINTS.predictor(model, flipped), people, flipped).count == 2
    with pytest.raises(UserError, match="heatmaps of .16, 16, 3.. Received: .*16, 16, 17"):
        KEYPOINTS.check(MicroNetPoseEstimator(tiny_backbone(), HEAD), source, flipped)


def test_names_from_the_small_file(tmp_path):
    path = gauges(tmp_path, {"keypoints": []}, {"names": NAMES})
    content = json.loads((tmp_path / "train" / "coco.json").read_text())
    del content["categories"][1], content["annotations"][1::2]
    (tmp_path / "train" / "coco.json").write_text(json.dumps(content))
    assert KEYPOINTS.class_names(load_dataset(path, annotations="keypoints")) == NAMES


def test_cocos_names_bring_cocos_constants(tmp_path):
    names = list(COCO_PERSON.names)
    path = gauges(
        tmp_path, {"name": "PERSON", "keypoints": names, "skeleton": []}, keypoints=[1, 1, 2] * 17
    )
    skeleton = skeleton_of(load_dataset(path, annotations="keypoints"))
    assert skeleton.label == "PERSON" and skeleton.sigmas == COCO_PERSON.sigmas


@pytest.mark.parametrize(
    ("category", "skeleton", "words"),
    [
        ({"keypoints": []}, None, "no keypoints: a category of its annotation file needs"),
        ({"keypoints": [1, 2, 3]}, None, "the keypoints of category 'Gauge' must be names"),
        ({"skeleton": [[0, 1]]}, None, "the skeleton must be pairs of numbers from 1 to 3"),
        ({"sigmas": [0.1]}, None, "the keypoints of Gauge: there must be 3 sigmas"),
        ({}, {"names": ["a"]}, "names 1 keypoints, category Gauge has 3"),
        ({}, {"flip_pairs": [["hub", "x"]]}, "flip_pairs must be pairs of names among hub"),
        ({}, {"colour": []}, "skeleton.json is not a skeleton: it may hold names, flip_pairs"),
    ],
)
def test_keypoints_that_make_no_sense_are_refused(tmp_path, category, skeleton, words):
    with pytest.raises(UserError) as caught:
        load_dataset(gauges(tmp_path, category, skeleton), annotations="keypoints")
    assert words in str(caught.value)
