"""People of a dataset: every wrong record is named, counted, and skipped or refused."""

import dataclasses

import numpy as np
import pytest
import tensorflow_datasets as tfds
from stick_figures import figure_record, figures, source_of

from micronet_keras.tasks.keypoints.people import load_people
from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON
from micronet_mcu.errors import UserError


def test_left_and_right_are_swapped_both_ways():
    names, mirrored = COCO_PERSON.names, COCO_PERSON.mirrored
    assert [mirrored[other] for other in mirrored] == list(range(17))
    assert names[mirrored[names.index("left_knee")]] == "right_knee" and mirrored[0] == 0


def test_people_are_checked_in_any_dataset():
    def spoiled(index, **changes):
        record = figure_record("train", index)
        record["objects"] = record["objects"] | changes
        return record

    good = figure_record("train", 0)["objects"]
    outside, strange = good["keypoints"].copy(), good["keypoints"].copy()
    outside[0, 3, 0], strange[0, 3, 2] = 1.5, 7
    source = source_of(
        {
            "train": [
                figure_record("train", 0),
                spoiled(1, bbox=np.zeros((1, 4), np.float32)),
                spoiled(2, keypoints=outside),
                spoiled(3, keypoints=strange),
                spoiled(4, keypoints=np.zeros((1, 17, 3), np.float32)),
                spoiled(5, label=np.array([0])),
                spoiled(6, bbox=np.array([[0.1, np.nan, 0.5, 0.5]], np.float32)),
                spoiled(7, area=np.array([0])),
                figure_record("train", 8),
            ]
        }
    )
    people = load_people(source, "train")
    assert [record["record"].numpy().decode() for record in people.records()] == [
        "train[0]", "train[8]"
    ]  # fmt: skip
    assert people.unlabelled == 1
    words = ["no area", "outside the image", "visibility", "not finite", "area is 0"]
    assert len(people.bad_records) == len(words)
    for line, number, word in zip(people.bad_records, (1, 2, 3, 6, 7), words, strict=True):
        assert line.startswith(f"train[{number}] object 0: ") and word in line
    with pytest.raises(UserError, match="5 bad record"):
        load_people(source, "train", "error")
    with pytest.raises(ValueError, match="on_bad_annotation .* Received: 'quietly'"):
        load_people(source, "train", "quietly")


def test_keypoints_in_pixels_are_said_to_be_that():
    records = [figure_record("train", number) for number in range(2)]
    for record in records:
        record["objects"]["keypoints"] = record["objects"]["keypoints"] * [96, 96, 1]
    with pytest.raises(UserError, match="the keypoints are in pixels; shares of the image"):
        load_people(source_of({"train": records}), "train")


def test_persons_may_be_spelled_otherwise():
    source = figures(train=1)
    names = ["Person" if name == "person" else name for name in source.object_class_names]
    assert len(load_people(dataclasses.replace(source, object_class_names=names), "train")) == 1


def test_datasets_without_usable_people_are_refused():
    record = figure_record("train", 0)
    record["objects"]["label"] = np.array([3])
    with pytest.raises(UserError, match="no usable people"):
        load_people(source_of({"train": [record]}), "train")
    with pytest.raises(UserError, match="no split"):
        load_people(figures(train=1), "nowhere")


def test_the_bundled_dataset_has_the_keypoints_of_coco():
    builder = tfds.builder("micronet_shapes/multi")
    assert builder.info.features["objects"].feature["keypoints"].shape == (17, 3)
    assert len(COCO_PERSON.names) == 17
