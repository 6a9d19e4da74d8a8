"""A folder of pictures with a sub-folder per class, as a dataset."""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import tensorflow as tf

from micronet_keras.data.decoding import IMAGE_SUFFIXES
from micronet_mcu.errors import UserError

# Names, in any case, of the folders that may stand above the classes, and the splits that they are.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
    "testing": "test",
}
_SPLITS = ("train", "validation", "test")
# What systems leave in folders beside what was put there; hidden files are left out, too.
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini"}

_T = TypeVar("_T")


class FolderContent(NamedTuple):
    """What `read_folder` found.

    Attributes:
        class_names: sorted.
        splits: (class name, file) of every image of each split, in a fixed order.
        notes: one line each on what was left out.
    """

    class_names: list[str]
    splits: dict[str, list[tuple[str, Path]]]
    notes: list[str]

    def labels(self, split: str) -> list[int]:
        """The class of every image of a split, as an index into `class_names`."""
        numbers = {name: number for number, name in enumerate(self.class_names)}
        return [numbers[class_name] for class_name, _ in self.splits[split]]


def read_folder(folder: Path) -> FolderContent:
    """Finds the classes, the splits and the images of a folder.

    Folders called as splits usually are stand above the classes when they have sub-folders with
    images, and one of them is for training or nothing else is there; else they are classes: a
    class may be called "test".

    Raises:
        UserError: no such folder, one that cannot be read, no class folders, a single class,
            nothing but splits of no class, no images.
    """
    require_folder(folder)
    below = {child: list(files_below(child)) for child in _folders_in(folder)}
    if not below:
        raise UserError(f"{folder} has no sub-folders: put the images of every class into its own")
    images = {child: _images(files) for child, files in below.items()}
    splits = _split_folders(folder, images)
    if splits:
        files, notes = _below_splits(images, splits)
    else:
        labelled = [(child.name, path) for child in below for path in images[child]]
        files, notes = divided(labelled, lambda item: item[1].relative_to(folder)), []
    files = {name: listed for name, listed in files.items() if listed}
    full = {name for listed in files.values() for name, _ in listed}
    class_names = sorted(full)
    _check_classes(class_names, folder, below)
    empty = [
        f"{place.relative_to(folder)}/"
        for child in splits or below
        for place in (_folders_in(child) if splits else [child])
        if place.name not in full
    ]
    if empty:
        notes.append(f"{', '.join(empty)}, without images")
    notes += _other_files(folder, [path for listed in below.values() for path in listed])
    return FolderContent(class_names, files, [left_out(folder, note) for note in notes])


def _split_folders(folder: Path, images: dict[Path, list[Path]]) -> dict[Path, str]:
    """The folders that stand above classes, and the splits that they are; none when they do not."""
    known = {child: SPLIT_FOLDERS.get(child.name.casefold()) for child in images}
    splits = {
        child: split
        for child, split in known.items()
        if split and any(path.parent != child for path in images[child])
    }
    if splits and ("train" in splits.values() or len(splits) == len(images)):
        return splits
    if len(images) > 1 and all(known.values()):
        raise UserError(
            f"{folder} has splits without classes: {', '.join(c.name for c in images)} need a "
            "sub-folder per class (images with annotations are for detection)"
        )
    return {}


def _below_splits(
    images: dict[Path, list[Path]], splits: dict[Path, str]
) -> tuple[dict[str, list[tuple[str, Path]]], list[str]]:
    """(class name, file) of the images of each split, and what is of none."""
    files: dict[str, list[tuple[str, Path]]] = {}
    notes = []
    for child, split in splits.items():
        loose = [path for path in images[child] if path.parent == child]
        files.setdefault(split, []).extend(
            (path.relative_to(child).parts[0], path)
            for path in images[child]
            if path.parent != child
        )
        if loose:
            notes.append(f"{len(loose)} image(s) of {child.name}/ of no class")
    notes += [
        f"{child.name}/ ({len(listed)} images), which is no split with a sub-folder per class; "
        f"splits are called {', '.join(SPLIT_FOLDERS)}"
        for child, listed in images.items()
        if child not in splits
    ]
    return files, notes


def left_out(folder: Path, what: str) -> str:
    """A line of `FolderContent.notes`, that can be printed whatever the names in it."""
    return os.fsencode(f"{folder}: left out: {what}").decode(errors="replace")


def require_folder(folder: Path) -> None:
    """Raises UserError when there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder with images; give one, or a dataset's name")


def is_showable(name: str) -> bool:
    """Whether the name of a class can be printed and written: UTF-8 without control characters."""
    return all(unicodedata.category(letter) not in ("Cc", "Cs") for letter in name)


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and its sub-folders, sorted; linked folders are followed.

    Raises:
        UserError: one of the folders cannot be read.
    """
    found = []
    seen = set()
    for place, folders, names in os.walk(folder, onerror=_refuse_unreadable, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # Links may go round in circles.
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_clutter(name))
        found += [Path(place, name) for name in names if not _is_clutter(name)]
    yield from sorted(path for path in found if path.is_file())


def divided(items: Sequence[_T], name_of: Callable[[_T], Path]) -> dict[str, list[_T]]:
    """80 / 10 / 10 %, by a hash of the name: a file stays in its split when others are added."""
    splits: dict[str, list[_T]] = {split: [] for split in _SPLITS}
    for item in items:
        digest = hashlib.sha256(os.fsencode(name_of(item).as_posix())).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        splits["train" if share < 0.8 else "validation" if share < 0.9 else "test"].append(item)
    return splits


def encoded_files(paths: Sequence[Path], folder: Path) -> tf.data.Dataset:
    """Records of `image`, the file's bytes, and `record`, its name in the folder, in order.

    A file that cannot be read has no bytes, and counts as a bad image.
    """
    files = tf.data.Dataset.from_tensor_slices(
        (
            # Bytes, for a name need not be UTF-8.
            tf.constant([os.fsencode(path) for path in paths], tf.string),
            tf.constant([os.fsencode(path.relative_to(folder).as_posix()) for path in paths],
                        tf.string),
        )
    )  # fmt: skip
    return files.map(
        lambda path, name: {"image": _file_or_nothing(path), "record": name},
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _file_or_nothing(path: tf.Tensor) -> tf.Tensor:
    attempt = tf.data.Dataset.from_tensors(path).map(tf.io.read_file).ignore_errors()
    return attempt.concatenate(tf.data.Dataset.from_tensors("")).take(1).get_single_element()


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(c for c in folder.iterdir() if c.is_dir() and not _is_clutter(c.name))
    except OSError as error:
        _refuse_unreadable(error)


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise UserError(
        f"cannot read the folder {error.filename}: {error.strerror}; its images would be missing"
    ) from error


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _CLUTTER


def _images(files: Sequence[Path]) -> list[Path]:
    return [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]


def _check_classes(class_names: list[str], folder: Path, below: dict[Path, list[Path]]) -> None:
    if not class_names:
        raise UserError(
            f"{folder} has no images: it needs a sub-folder per class with files ending in "
            f"{', '.join(IMAGE_SUFFIXES)}"
        )
    for name in class_names:
        if not is_showable(name):
            raise UserError(
                f"{folder} has a class {name!r}: its name is not UTF-8 or cannot be "
                "printed; rename the folder"
            )
    if len(class_names) == 1:
        only = next((child for child in below if child.name == class_names[0]), None)
        inside = [child.name for child in _folders_in(only)] if only else []
        advice = (
            f"did you mean {only}, which has {', '.join(inside[:5])}"
            if len(inside) > 1
            else "put the images of every class into a sub-folder of its own"
        )
        raise UserError(f"{folder} has a single class, {class_names[0]!r}: {advice}")


def _other_files(folder: Path, below: list[Path]) -> list[str]:
    """What is said about files that are not read: how many of each ending, and empty folders."""
    beside = [child for child in folder.iterdir() if child.is_file()]
    loose = _images([child for child in beside if not _is_clutter(child.name)])
    notes = [f"{len(loose)} image(s) beside the folders, of no class"] if loose else []
    others = Counter(
        path.suffix.lower() or "no ending"
        for path in below
        if path.suffix.lower() not in IMAGE_SUFFIXES
    )
    if others:
        counts = ", ".join(f"{count} of {ending}" for ending, count in others.most_common())
        notes.append(f"files that are no images of a known kind: {counts}")
    return notes
