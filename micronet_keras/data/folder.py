"""A folder of pictures with a sub-folder per class, as a dataset."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from micronet_keras.data.decoding import IMAGE_SUFFIXES
from micronet_mcu.errors import UserError

# Names of the folders that may stand above the classes, and the splits that they are.
_SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}


def read_folder(
    folder: Path,
) -> tuple[list[str], dict[str, int], Callable[[str], tf.data.Dataset]]:
    """Finds the classes, the splits and the images of a folder.

    Returns:
        (class_names, splits, read): the classes sorted by name, the images per split, and the
        function that gives a split's records as `Source.raw` describes them.

    Raises:
        UserError: no such folder, no class folders, no images.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder with images; give one, or a dataset's name")
    split_folders = [child for child in _folders_in(folder) if child.name in _SPLIT_FOLDERS]
    if split_folders:
        files: dict[str, list[tuple[str, Path]]] = {}
        for child in split_folders:
            files.setdefault(_SPLIT_FOLDERS[child.name], []).extend(_class_files(child))
    else:
        files = _divided(_class_files(folder), folder)
    class_names = sorted({class_name for listed in files.values() for class_name, _ in listed})
    files = {split: listed for split, listed in files.items() if listed}
    if not files:
        raise UserError(
            f"{folder} has no images: it needs a sub-folder per class with files ending in "
            f"{', '.join(IMAGE_SUFFIXES)}"
        )

    def read(split: str) -> tf.data.Dataset:
        paths = [str(path) for _, path in files[split]]
        labels = [class_names.index(class_name) for class_name, _ in files[split]]
        names = [path.relative_to(folder).as_posix() for _, path in files[split]]
        records = tf.data.Dataset.from_tensor_slices(
            {"image": paths, "label": tf.constant(labels, tf.int64), "record": names}
        )
        return records.map(
            lambda record: {**record, "image": _file_or_nothing(record["image"])},
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    return class_names, {split: len(files[split]) for split in files}, read


def _folders_in(folder: Path) -> list[Path]:
    return sorted(c for c in folder.iterdir() if c.is_dir() and not c.name.startswith("."))


def _class_files(folder: Path) -> list[tuple[str, Path]]:
    """(class name, file) of every image, in a fixed order."""
    class_folders = _folders_in(folder)
    if not class_folders:
        raise UserError(f"{folder} has no sub-folders: put the images of every class into its own")
    return [
        (class_folder.name, path)
        for class_folder in class_folders
        for path in sorted(class_folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    ]


def _divided(files: list[tuple[str, Path]], folder: Path) -> dict[str, list[tuple[str, Path]]]:
    """80 / 10 / 10 %, by a hash of the name: a file stays in its split when others are added."""
    splits: dict[str, list[tuple[str, Path]]] = {"train": [], "validation": [], "test": []}
    for class_name, path in files:
        name = path.relative_to(folder).as_posix()
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        split = "train" if share < 0.8 else "validation" if share < 0.9 else "test"
        splits[split].append((class_name, path))
    return splits


def _file_or_nothing(path: tf.Tensor) -> tf.Tensor:
    """A file's bytes; none when it cannot be read, which then counts as a bad image."""
    attempt = tf.data.Dataset.from_tensors(path).map(tf.io.read_file).ignore_errors()
    return attempt.concatenate(tf.data.Dataset.from_tensors("")).take(1).get_single_element()
