"""Boxes and keypoints as people store them: the same from every form, and nonsense named."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from micronet_keras.data import load_dataset
from micronet_keras.data.skeleton import make_skeleton
from micronet_keras.tasks.detection.annotations import check_annotations
from micronet_mcu.errors import UserError

# name of the picture: [(class, left, top, right, bottom)] in pixels of 40 x 20.
TRUTH = {
    "one": [("cat", 4, 2, 20, 12), ("dog", 10, 5, 40, 20)],
    "two": [],
    "three": [("dog", 0, 0, 8, 8)],
}
CLASSES = ["cat", "dog"]


def paint(path, size=(40, 20), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 30, 60)).save(path, **options)


def coco(truth, folder="", **changes):
    """The content of an annotation file of COCO's format."""
    images = [
        {"id": i, "file_name": f"{folder}{name}.jpg", "width": 40, "height": 20}
        for i, name in enumerate(truth)
    ]
    things = [(i, *thing) for i, things in enumerate(truth.values()) for thing in things]
    annotations = [
        {"id": n, "image_id": i, "category_id": 5 + CLASSES.index(c), "bbox": [x, y, r - x, b - y]}
        | changes
        for n, (i, c, x, y, r, b) in enumerate(things)
    ]
    categories = [{"id": 5 + i, "name": name} for i, name in enumerate(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories}


def voc(things, size=(40, 20), **fields):
    more = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    objects = "".join(
        f"<object><name>{name}</name>{more}<bndbox>"
        f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{r}</xmax><ymax>{b}</ymax></bndbox></object>"
        for name, x, y, r, b in things
    )
    width, height = size
    return (
        f"<annotation><filename>old.jpg</filename><size><width>{width}</width>"
        f"<height>{height}</height></size>{objects}</annotation>"
    )


def yolo(things):
    return "".join(
        f"{CLASSES.index(c)} {(x + r) / 80} {(y + b) / 40} {(r - x) / 40} {(b - y) / 20}\n"
        for c, x, y, r, b in things
    )


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))


def coco_beside(root):
    for split in ("train", "valid"):
        write(root / split / "_annotations.coco.json", coco(TRUTH))
        for name in TRUTH:
            paint(root / split / f"{name}.jpg")


def coco_apart(root):
    for split in ("train2017", "val2017"):
        write(root / "annotations" / f"instances_{split}.json", coco(TRUTH, f"C:\\data\\{split}\\"))
        write(root / "annotations" / f"captions_{split}.json", coco({}))
        for name in TRUTH:
            paint(root / split / f"{name}.jpg")


def voc_kit(root):
    for split in ("train", "val"):
        names = [f"{split}_{name}" for name in TRUTH]
        write(root / "ImageSets" / "Main" / f"{split}.txt", "\n".join(names))
        for name, things in zip(names, TRUTH.values(), strict=True):
            write(root / "Annotations" / f"{name}.xml", voc(things))
            paint(root / "JPEGImages" / f"{name}.jpg")


def voc_beside(root):
    for split in ("Train", "Validation"):
        for name, things in TRUTH.items():
            write(root / split / f"{name}.xml", voc(things, (0, 0)))
            paint(root / split / f"{name}.jpg")


def yolo_apart(root):
    write(root / "data.yaml", "train: images/train\nnames:\n  0: cat\n  1: dog\n")
    for split in ("train", "val"):
        for name, things in TRUTH.items():
            if things:
                write(root / "labels" / split / f"{name}.txt", yolo(things))
            paint(root / "images" / split / f"{name}.jpg")


def yolo_beside(root):
    write(root / "classes.txt", "cat\ndog\n")
    for split in ("train", "valid"):
        for name, things in TRUTH.items():
            write(root / split / f"{name}.txt", yolo(things))
            paint(root / split / f"{name}.jpg")


FORMS = [coco_beside, coco_apart, voc_kit, voc_beside, yolo_apart, yolo_beside]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_says_the_same(tmp_path, form):
    form(tmp_path)
    source = load_dataset(str(tmp_path), annotations="boxes")
    assert source.object_class_names == CLASSES and not source.has_labels
    assert source.splits == {"train": 3, "validation": 3} and source.notes == ()
    found = {r["record"].numpy().decode(): r for r in source.raw("validation")}
    for name, things in TRUTH.items():
        (record,) = [record for path, record in found.items() if path.endswith(f"{name}.jpg")]
        assert record["image"].numpy().startswith(b"\xff\xd8")
        assert [CLASSES[i] for i in record["objects"]["label"]] == [c for c, *_ in things]
        boxes = np.array([(y / 20, x / 40, b / 20, r / 40) for _, x, y, r, b in things])
        np.testing.assert_allclose(record["objects"]["bbox"], boxes.reshape(-1, 4), atol=1e-6)
    report = check_annotations(source, "train", "error")
    assert report.counts == {"cat": 1, "dog": 2}


def test_without_splits_pictures_are_divided(tmp_path):
    write(tmp_path / "labels.json", coco({f"{i:03}": [("cat", 1, 1, 5, 5)] for i in range(50)}))
    for i in range(50):
        paint(tmp_path / "images" / f"{i:03}.jpg")
    paint(tmp_path / "images" / "more.jpg")
    source = load_dataset(str(tmp_path), annotations="boxes")
    assert set(source.splits) == {"train", "validation", "test"}
    assert sum(source.splits.values()) == 50
    assert source.notes == (f"{tmp_path}: left out: 1 image(s) that no annotation file lists",)


def test_a_group_of_classes_is_no_class(tmp_path):
    coco_beside(tmp_path)
    for split in ("train", "valid"):
        content = coco(TRUTH)
        for category in content["categories"]:
            category["supercategory"] = "pets"
        content["categories"].insert(0, {"id": 0, "name": "pets", "supercategory": "none"})
        write(tmp_path / split / "_annotations.coco.json", content)
    assert load_dataset(str(tmp_path), annotations="boxes").class_names == CLASSES


def test_difficult_objects_are_a_crowd(tmp_path):
    paint(tmp_path / "a.jpg")
    write(tmp_path / "a.xml", voc(TRUTH["one"], difficult=1))
    source = load_dataset(str(tmp_path), annotations="boxes")
    (record,) = source.raw(*source.splits)
    assert record["objects"]["is_crowd"].numpy().tolist() == [True, True]


def test_polygons_of_yolo_have_boxes(tmp_path):
    paint(tmp_path / "a.jpg")
    write(tmp_path / "a.txt", "0 0.1 0.2 0.5 0.3 0.4 0.6")
    write(tmp_path / "data.yaml", "names: [cat]")
    source = load_dataset(str(tmp_path), annotations="boxes")
    (record,) = source.raw(*source.splits)
    np.testing.assert_allclose(record["objects"]["bbox"], [[0.2, 0.1, 0.6, 0.5]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("b.xml", "<annotation><object>", "b.xml: it is no XML or is damaged"),
        ("b.xml", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>',
         "b.xml: it has a document type"),
        ("b.xml", voc([("cat", "x", 1, 2, 3)]), "bndbox/xmin is no number: 'x'"),
        ("b.xml", voc([("", 0, 1, 2, 3)]), "object 0 has no name"),
        ("b.xml", voc([], (20, 40)), "of 20 x 40 pixels, b.jpg is shown as 40 x 20"),
        ("b.xml", voc([("cat", 5, 1, 2, 3)]), "b.jpg object 0: the box has no area"),
        ("c.xml", voc([]), "there is no file .*/old.jpg"),
    ],
)  # fmt: skip
def test_bad_files_of_voc_are_named(tmp_path, name, text, words):
    for stem in "ab":
        paint(tmp_path / "train" / f"{stem}.jpg")
    write(tmp_path / "train" / "a.xml", voc([("cat", 0, 1, 2, 3)]))
    write(tmp_path / "train" / name, text)
    source = load_dataset(str(tmp_path), annotations="boxes")
    (problem,) = check_annotations(source, "train", "skip").problems
    assert re.search(words, problem)
    with pytest.raises(UserError, match="1 of 2 annotations are bad"):
        check_annotations(source, "train", "error")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5", "line 2 has 3 numbers"),
        ("x 0.5 0.5 0.1 0.1", "line 2 holds something that is no number"),
        ("0.5 0.5 0.5 0.1 0.1", "line 2 has no valid class: 0.5"),
        ("2 0.5 0.5 0.1 0.1", "object 0: unknown class"),
        ("0 0.5 nan 0.1 0.1", "object 0: a coordinate is not a number"),
    ],
)
def test_bad_lines_of_yolo_are_named(tmp_path, line, words):
    for stem in "ab":
        paint(tmp_path / "train" / f"{stem}.jpg")
    write(tmp_path / "classes.txt", "cat\ndog")
    write(tmp_path / "train" / "a.txt", "0 0.5 0.5 0.1 0.1")
    write(tmp_path / "train" / "b.txt", f"\n{line}")
    source = load_dataset(str(tmp_path), annotations="boxes")
    (problem,) = check_annotations(source, "train", "skip").problems
    assert words in problem and "b." in problem


def nothing_named(root):
    yolo_beside(root)
    (root / "classes.txt").unlink()


def two_files_of_a_split(root):
    coco_beside(root)
    write(root / "train" / "more.json", coco(TRUTH))


def some_files_without_split(root):
    coco_beside(root)
    write(root / "all.json", coco(TRUTH))


def only_pictures(root):
    for name in ("a/1.jpg", "b/2.jpg"):
        paint(root / name)


def only_missing_pictures(root):
    write(root / "train.json", coco(TRUTH))


def shares_in_coco(root):
    coco_beside(root)
    write(root / "train" / "_annotations.coco.json", coco(TRUTH, bbox=[0.1, 0.2, 0.5, 0.6]))


def shares_in_voc(root):
    paint(root / "a.jpg")
    write(root / "a.xml", voc([("cat", 0.1, 0.2, 0.5, 0.6)]))


def damaged_yaml(root):
    yolo_apart(root)
    write(root / "data.yaml", "names: [a, b")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (nothing_named, "nothing names the classes: add a data.yaml"),
        (two_files_of_a_split, "several annotation files for one split, train: "),
        (some_files_without_split, "all.json is for no split, others are"),
        (only_pictures, "has no boxes: it needs images and COCO JSON, Pascal VOC XML, YOLO txt"),
        (only_missing_pictures, "not one annotation can be used: train.json image 0: there is no"),
        (shares_in_coco, "the boxes are shares of the image, none is longer than 0.6; COCO has"),
        (shares_in_voc, "the boxes are shares of the image, none is longer than 0.4; Pascal VOC"),
        (damaged_yaml, "data.yaml is no YAML or is damaged"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, form, words):
    form(tmp_path)
    with pytest.raises(UserError) as caught:
        load_dataset(str(tmp_path), annotations="boxes")
    assert words in str(caught.value)


def test_pixels_where_shares_are_wanted(tmp_path):
    for name, things in TRUTH.items():
        paint(tmp_path / "train" / f"{name}.jpg")
        lines = [f"0 {x} {y} {r} {b}\n" for _, x, y, r, b in things]
        write(tmp_path / "train" / f"{name}.txt", "".join(lines))
    write(tmp_path / "classes.txt", "cat\ndog")
    source = load_dataset(str(tmp_path), annotations="boxes")
    with pytest.raises(UserError, match="the boxes are in pixels, up to 30; shares of the image"):
        check_annotations(source, "train", "skip")


def test_a_photograph_that_is_turned(tmp_path):
    """Boxes of the turned picture fit; those of the picture before are refused."""
    exif = Image.Exif()
    exif[0x0112] = 6
    paint(tmp_path / "train" / "a.jpg", (20, 40), exif=exif)
    write(tmp_path / "train" / "a.xml", voc(TRUTH["one"], (0, 0)))
    (record,) = load_dataset(str(tmp_path), annotations="boxes").raw("train")
    np.testing.assert_allclose(record["objects"]["bbox"][0], [2 / 20, 4 / 40, 12 / 20, 20 / 40])
    write(tmp_path / "train" / "a.xml", voc(TRUTH["one"], (20, 40)))
    with pytest.raises(UserError, match="of 20 x 40 pixels, a.jpg is shown as 40 x 20"):
        load_dataset(str(tmp_path), annotations="boxes")


@pytest.mark.parametrize(
    ("names", "more", "mirrored"),
    [
        (["nose", "left_eye", "right_eye"], {}, (0, 2, 1)),
        (["leftEye", "rightEye", "tip"], {}, (1, 0, 2)),
        (["eye_l", "eye_r", "lip"], {}, (1, 0, 2)),
        (["left", "top"], {}, (0, 1)),
        (["a", "b", "c"], {"flip_pairs": [["a", "c"]]}, (2, 1, 0)),
    ],
)
def test_left_and_right_of_keypoints(names, more, mirrored):
    assert make_skeleton("thing", names, more).mirrored == mirrored


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"flip_pairs": [["a", "z"]]}, "flip_pairs must be pairs of names among a, b"),
        ({"flip_pairs": [["a"]]}, "flip_pairs must be pairs"),
        ({"sigmas": [0.1]}, "there must be 2 sigmas"),
        ({"sigmas": [0.1, 0]}, "above 0"),
        ({"sigmas": ["x", 1]}, "sigmas must be a list of numbers"),
        ({"bones": [["a", 1]]}, "bones must be pairs of names"),
    ],
)
def test_skeletons_that_make_no_sense(more, words):
    with pytest.raises(ValueError, match=words):
        make_skeleton("thing", ["a", "b"], more)
