"""Folders of pictures: classes, splits, and what is said about all that is neither."""

import errno
import os
import shutil

import pytest
from picture_folders import paint_folder

from micronet_keras.data import (
    class_counts,
    eval_batches,
    folder,
    hold_out_validation,
    load_dataset,
    spread,
)
from micronet_mcu.errors import UserError


def test_folder_is_divided_by_names(tmp_path):
    source = load_dataset(str(paint_folder(tmp_path / "all", ["dog", "cat"], 100)))
    assert source.class_names == ["cat", "dog"]
    assert sum(source.splits.values()) == 200
    assert 140 <= source.splits["train"] <= 180
    split_of = _splits_by_record(source)
    assert len(split_of) == 200
    # More files: those that were there stay where they were.
    paint_folder(tmp_path / "all", ["ape"], 20)
    grown = _splits_by_record(load_dataset(str(tmp_path / "all")))
    assert len(grown) == 220 and {name: grown[name] for name in split_of} == split_of


def _splits_by_record(source):
    return {r["record"].numpy(): split for split in source.splits for r in source.raw(split)}


@pytest.mark.parametrize(
    "names",
    [("train", "val", "test"), ("Train", "Validation", "Test"), ("training", "valid", "TESTING")],
)
def test_folder_with_splits(tmp_path, names):
    train, validation, test = names
    paint_folder(tmp_path / train, ["b", "a"], 4)
    paint_folder(tmp_path / validation, ["a", "b"], 2)
    paint_folder(tmp_path / test, ["b"], 3)
    source = load_dataset(str(tmp_path))
    assert source.class_names == ["a", "b"] and source.notes == ()
    assert source.splits == {"test": 3, "train": 8, "validation": 2 * 2}
    assert [int(r["label"]) for r in source.raw("test")] == [1, 1, 1]
    first = next(iter(source.raw("validation")))
    assert first["record"] == f"{validation}/a/000.png".encode()


def test_folders_beside_the_splits_are_named(tmp_path):
    paint_folder(tmp_path / "Train", ["a", "b"], 2)
    paint_folder(tmp_path / "extra", ["a", "b"], 3)
    paint_folder(tmp_path, ["test"], 4)  # pictures without classes, as of competitions
    shutil.copy(tmp_path / "test" / "000.png", tmp_path / "Train" / "stray.png")
    (tmp_path / "Train" / "c").mkdir()
    source = load_dataset(str(tmp_path))
    assert (source.class_names, source.splits) == (["a", "b"], {"train": 4})
    notes = "\n".join(source.notes)
    for words in ("1 image(s) of Train/ of no class", "extra/ (6 images), which is no split",
                  "test/ (4 images), which is no split", "Train/c/, without images"):  # fmt: skip
        assert f"{tmp_path}: left out: {words}" in notes


@pytest.mark.parametrize("names", [["good", "test"], ["car", "train"]])
def test_classes_may_be_called_like_splits(tmp_path, names):
    paint_folder(tmp_path, names, 20)
    source = load_dataset(str(tmp_path))
    assert source.class_names == names and sum(source.splits.values()) == 40


def test_splits_without_classes_are_no_classes(tmp_path):
    paint_folder(tmp_path, ["Train", "valid"], 2)
    with pytest.raises(UserError, match="splits without classes: Train, valid need a sub-folder"):
        load_dataset(str(tmp_path))


def test_only_a_test_split(tmp_path):
    paint_folder(tmp_path / "test", ["a", "b"], 1)
    assert load_dataset(str(tmp_path)).splits == {"test": 2}


def test_labels_are_counted_without_their_images(tmp_path):
    paint_folder(tmp_path / "train", ["a", "b"], 6)
    for picture in (tmp_path / "train" / "b").glob("*.png"):
        picture.unlink() if picture.stem != "004" else picture.write_bytes(b"")
    source = hold_out_validation(load_dataset(str(tmp_path)), "train", "validation", 4)
    assert class_counts(source, "train") == {"a": 4, "b": 1}
    assert class_counts(source, "validation") == {"a": 2, "b": 0}
    thin = spread(source, "train", 3)
    assert [int(label) for label in thin.labels("train")] == [
        int(record["label"]) for record in thin.raw("train")
    ]


def test_relative_folder(tmp_path, monkeypatch):
    paint_folder(tmp_path / "my photos", ["a", "b"], 10)
    monkeypatch.chdir(tmp_path)
    assert load_dataset("my photos").class_names == ["a", "b"]


def test_other_files_are_no_images(tmp_path):
    paint_folder(tmp_path, ["a", "b"], 20)
    picture = tmp_path / "a" / "000.png"
    for name in ("a/photo.HEIC", "b/photo.heic", "b/notes.txt"):
        (tmp_path / name).write_text("hello")
    for folder_name in (".hidden", "__MACOSX", "a/.ipynb_checkpoints"):
        (tmp_path / folder_name).mkdir()
        shutil.copy(picture, tmp_path / folder_name / "x.png")
    shutil.copy(picture, tmp_path / "a" / "._000.png")
    shutil.copy(picture, tmp_path / "loose.png")
    source = load_dataset(str(tmp_path))
    assert source.class_names == ["a", "b"] and sum(source.splits.values()) == 40
    assert source.notes == (
        f"{tmp_path}: left out: 1 image(s) beside the folders, of no class",
        f"{tmp_path}: left out: files that are no images of a known kind: 2 of .heic, 1 of .txt",
    )


def test_linked_folders_are_followed_once(tmp_path):
    paint_folder(tmp_path / "elsewhere", ["more"], 3)
    paint_folder(tmp_path / "set", ["a", "b"], 10)
    (tmp_path / "set/a/more").symlink_to(tmp_path / "elsewhere/more")
    (tmp_path / "set/b/again").symlink_to(tmp_path / "set/b")
    assert sum(load_dataset(str(tmp_path / "set")).splits.values()) == 23


def test_names_that_are_not_utf8(tmp_path):
    paint_folder(tmp_path, ["a", "b"], 20)
    bad_name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / "a" / "000.png").rename(tmp_path / "a" / bad_name)
    (tmp_path / "a" / os.fsdecode(b"x.caf\xe9")).write_text("")
    source = load_dataset(str(tmp_path))
    assert sum(source.splits.values()) == 40 and "1 of .caf\ufffd" in source.notes[0]
    (split,) = [s for s in source.splits for r in source.raw(s) if b"\xe9" in r["record"].numpy()]
    count = sum(len(labels) for _, labels in eval_batches(source, split, 8, 8))
    assert (count, len(source.bad_images)) == (source.splits[split], 0)
    (tmp_path / "a").rename(tmp_path / os.fsdecode(b"\xe9"))
    with pytest.raises(UserError, match=r"a class '.udce9': its name is not UTF-8"):
        load_dataset(str(tmp_path))


def test_folders_that_cannot_be_read_are_refused(tmp_path, monkeypatch):
    paint_folder(tmp_path, ["a", "b"], 1)
    scan = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("b"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(folder.os, "scandir", refusing)
    with pytest.raises(UserError, match="cannot read the folder .*b: Permission denied"):
        load_dataset(str(tmp_path))


def test_a_single_class_is_refused(tmp_path):
    paint_folder(tmp_path / "up" / "flowers", ["rose", "tulip"], 1)
    with pytest.raises(UserError, match="single class, 'flowers': did you mean .*up/flowers, "):
        load_dataset(str(tmp_path / "up"))
    paint_folder(tmp_path / "one" / "train", ["a"], 1)
    with pytest.raises(UserError, match="single class, 'a': put the images of every class"):
        load_dataset(str(tmp_path / "one"))


def test_wrong_folders(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        load_dataset(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="has no sub-folders"):
        load_dataset(str(tmp_path))
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match="has no images"):
        load_dataset(str(tmp_path))
