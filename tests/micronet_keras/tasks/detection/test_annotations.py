"""A detector's annotations: every bad one is named, counted, and skipped or refused."""

import pytest
from tiny_detection import make_source, spoiled

from micronet_keras.tasks.detection.annotations import check_annotations
from micronet_mcu.errors import UserError


def test_bad_annotations_are_named_and_counted():
    report = check_annotations(make_source({"train": 4}, spoiled), "train", "skip")
    assert report.images == 4 and len(report.problems) == 5
    assert report.problems == (
        "train[1] object 0: a coordinate is not a number",
        "train[1] object 1: the box reaches beyond the image",
        "train[1] object 2: the box has no area",
        "train[1] object 3: the box has no area",
        "train[1] object 4: unknown class",
    )
    assert report.summary().startswith(f"5 of {report.objects} annotations are bad: train[1]")
    assert check_annotations(make_source({"train": 3}), "train", "error").summary() == ""


def test_bad_annotations_are_refused_on_demand():
    source = make_source({"train": 4}, spoiled)
    with pytest.raises(UserError, match=r"train\[1\] object 0"):
        check_annotations(source, "train", "error")
    with pytest.raises(ValueError, match="Received: 'ignore'"):
        check_annotations(source, "train", "ignore")


@pytest.mark.slow
def test_datasets_without_boxes_or_objects_are_refused():
    source = make_source({"train": 2}, lambda i, b, label: (b[:0], label[:0]))
    with pytest.raises(UserError, match="no objects at all"):
        check_annotations(source, "train", "skip")
    plain = make_source({"train": 2})
    images = plain.read
    object.__setattr__(
        plain, "read", lambda s: images(s).map(lambda r: {"image": r["image"], "record": ""})
    )
    with pytest.raises(UserError, match="not for detection"):
        check_annotations(plain, "train", "skip")
