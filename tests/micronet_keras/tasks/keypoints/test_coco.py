"""COCO's annotation files: every wrong record is named and left out, nothing is believed."""

import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from stick_figures import encoded

from micronet_keras.data import load_dataset
from micronet_keras.data.annotated.coco import read_coco as read
from micronet_keras.data.annotated.pictures import Files
from micronet_keras.tasks.keypoints.people import in_pixels, load_people
from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON
from micronet_mcu.errors import UserError

KEYPOINTS = [30.0, 40.0, 2.0] * 17


def read_coco(path, folder):
    """The images, and the records that were left out, of people alone."""
    coco = read(path, Files(folder), lambda category: category.name == "person")
    return coco.images, coco.bad_records


def annotation(**changes):
    return {"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 500.5,
            "keypoints": KEYPOINTS, "num_keypoints": 17, "iscrowd": 0} | changes  # fmt: skip


def image(**changes):
    return {"id": 1, "file_name": "a.jpg", "width": 80, "height": 90} | changes


def write_coco(folder, annotations, images=None, year="val2017"):
    """Two pictures of 80 x 90 pixels and their annotations, laid out like COCO 2017."""
    (folder / year).mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    pixels = np.random.RandomState(0).randint(0, 256, (90, 80, 3)).astype("uint8")
    for name in ("a.jpg", "b.jpg"):
        (folder / year / name).write_bytes(encoded(pixels, "JPEG"))
    content = {
        "images": [image(), image(id=2, file_name="b.jpg")] if images is None else images,
        "annotations": annotations,
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.names)},
            {"id": 3, "name": "car"},
        ],
    }
    path = folder / "annotations" / f"person_keypoints_{year}.json"
    path.write_text(json.dumps(content))
    return path


def test_good_annotations_are_read_as_they_are(tmp_path):
    path = write_coco(tmp_path, [annotation(), annotation(id=8, category_id=3)])
    (first, second), bad = read_coco(path, tmp_path / "val2017")
    assert bad == [] and (first.width, first.height, second.objects) == (80, 90, [])
    (person,) = first.objects
    assert (person.id, person.box, person.area) == (7, (10, 20, 30, 40), 500.5)
    assert person.keypoints.ravel().tolist() == KEYPOINTS


def test_ids_areas_and_names_as_others_write_them(tmp_path):
    images = [image(id=1.0, file_name="C:\\pictures\\a.jpg"), {"id": 2, "file_name": "x/b.jpg"}]
    written = annotation(id=7.0, image_id=2.0, category_id=1.0)
    del written["area"]
    (_, second), bad = read_coco(write_coco(tmp_path, [written], images), tmp_path / "val2017")
    assert bad == [] and (second.id, second.width, second.height) == (2, 80, 90)
    assert [(person.id, person.area) for person in second.objects] == [(7, 30 * 40)]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"bbox": [10, 20, 0, 40]}, "the box has no area"),
        ({"bbox": [10, 20, 30]}, "'bbox' must have 4 numbers, it has 3"),
        ({"bbox": [10, 20, 30, "40"]}, "no number"),
        ({"keypoints": [30.0, 40.0] * 17}, "must have 51 numbers, it has 34"),
        ({"keypoints": None}, "'keypoints' must have 51 numbers, it has no list"),
        ({"keypoints": [30.0, 40.0, 3.0] * 17}, "visibility must be 0, 1 or 2"),
        ({"keypoints": [float("nan"), 40.0, 2.0] * 17}, "not finite"),
        ({"num_keypoints": 3}, "num_keypoints is 3, 17 are labelled"),
        ({"area": -1}, "the area is -1"),
        ({"area": True}, "no valid 'area'"),
        ({"image_id": 99}, "image 99 is missing or bad"),
        ({"category_id": "1"}, "no valid 'category_id'"),
        ({"category_id": 9}, "there is no category 9"),
        ({"image_id": 1.5}, "no valid 'image_id'"),
        ({"id": 10**30}, "'id' is not finite, or beyond 64 bits"),
        ({"area": 10**400}, "'area' is not finite, or beyond 64 bits"),
        ({"bbox": [10, 20, 30, -(10**400)]}, "'bbox' is not finite, or beyond 64 bits"),
        ({"keypoints": [10**400, 40.0, 2.0] * 17}, "'keypoints' is not finite, or beyond"),
    ],
)
def test_bad_annotations_are_named(tmp_path, changes, words):
    path = write_coco(tmp_path, [annotation(**changes), annotation(id=8)])
    images, bad = read_coco(path, tmp_path / "val2017")
    assert [person.id for person in images[0].objects] == [8]
    assert len(bad) == 1 and "person_keypoints_val2017.json annotation" in bad[0]
    assert str(changes.get("id", 7)) in bad[0]
    assert words in bad[0]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"file_name": "c.jpg"}, "there is no file"),
        ({"file_name": "../val2017/a.jpg"}, "a.jpg is image 1, too"),
        ({"file_name": "/etc/passwd"}, "there is no file"),
        ({"file_name": "x" * 5000}, "there is no file"),
        ({"file_name": "\0"}, "there is no file"),
        ({"width": 10**400}, "'width' is not finite, or beyond 64 bits"),
        ({"width": 0}, "the width is 0"),
        ({"width": 90, "height": 80}, "of 90 x 80 pixels, b.jpg is shown as 80 x 90"),
        ({"height": None}, "no valid 'height'"),
        ({"id": 1}, "the id appears twice"),
    ],
)
def test_bad_images_are_named(tmp_path, changes, words):
    images = [image(), image(id=2, file_name="b.jpg") | changes, "nonsense"]
    path = write_coco(tmp_path, [annotation()], images)
    good, bad = read_coco(path, tmp_path / "val2017")
    assert [one.id for one in good] == [1]
    assert len(bad) == 2 and words in bad[0] and "image number 2" in bad[1]


@pytest.mark.parametrize(
    "text, words",
    [
        ('{"images": [', "or is damaged"),
        ("[" * 100_000, "or is damaged"),
        ("[]", "lists 'images' and 'annotations'"),
        ('{"images": [], "annotations": {}}', "lists 'images' and 'annotations'"),
        ('{"images": [], "annotations": []}', "no list of categories"),
    ],
)
def test_broken_files_are_refused(tmp_path, text, words):
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(UserError, match="broken.json") as caught:
        read_coco(tmp_path / "broken.json", tmp_path)
    assert words in str(caught.value)
    with pytest.raises(UserError, match="cannot read .*none.json"):
        read_coco(tmp_path / "none.json", tmp_path)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@hypothesis.given(key=st.sampled_from(sorted(annotation())), value=_ANYTHING, whole=st.booleans())
@hypothesis.settings(max_examples=30)
def test_nonsense_never_passes_nor_crashes(tmp_path_factory, key, value, whole):
    folder = tmp_path_factory.mktemp("coco")
    path = write_coco(folder, [value if whole else annotation(**{key: value})])
    images, bad = read_coco(path, folder / "val2017")
    for person in images[0].objects + images[1].objects:
        assert np.isfinite(person.keypoints).all() and min(person.box[2:]) > 0 < person.area
    assert len(bad) + len(images[0].objects) + len(images[1].objects) <= 1


def test_coco_builder_end_to_end(tmp_path):
    unlabelled = annotation(id=9, keypoints=[0] * 51, num_keypoints=0)
    crowd = annotation(id=10, iscrowd=1)
    wrong = annotation(id=11, bbox=[0, 0, 0, 0])
    write_coco(tmp_path / "downloads/manual", [annotation(), unlabelled, crowd, wrong])
    source = load_dataset("coco_keypoints", tmp_path)
    assert source.splits == {"validation": 2}
    people = load_people(source, "validation")
    assert (len(people), people.unlabelled, len(people.bad_records)) == (1, 1, 1)
    assert "annotation 11: the box has no area" in people.summary()
    (record,) = people.records()
    person = in_pixels({**record, "image": np.zeros((90, 80, 3))})
    # COCO's whole numbers are the centres of pixels.
    np.testing.assert_allclose(person["keypoints"], [[30.5, 40.5, 2]] * 17, rtol=1e-6)
    np.testing.assert_allclose(person["box"], [10, 20, 40, 60], rtol=1e-6)
    assert float(person["area"]) == 500.5
    with pytest.raises(UserError, match="1 bad record"):
        load_people(source, "validation", "error")


def test_coco_builder_says_what_to_fetch(tmp_path):
    whole = "train2017/ and val2017/ with the images, .* A split whose files are absent is left out"
    with pytest.raises(UserError, match=f"downloads/manual does not exist .*{whole}"):
        load_dataset("coco_keypoints", tmp_path)
    write_coco(tmp_path / "downloads/manual", [annotation()], year="val2014")
    with pytest.raises(UserError, match=f"has no .*person_keypoints_train2017.json .*{whole}"):
        load_dataset("coco_keypoints", tmp_path)
