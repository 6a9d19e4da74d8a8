"""YOLO's labels: one text file a picture, a line an object; the classes are named in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from micronet_keras.data.annotated.pictures import Annotated, BadRecord, Files, Picture, Thing
from micronet_keras.data.folder import is_showable
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes

# Files with one class name a line, by their usual names.
_LISTS = ("classes.txt", "obj.names", "_darknet.labels")
_LARGEST_NAMES_FILE = 1 << 20


def read_yolo_folder(files: Files) -> Annotated | None:
    """A folder of pictures with YOLO's text files, side by side or in `images` and `labels`.

    The classes are named in a YAML file (`data.yaml`: `names`) or in `classes.txt`. A picture
    without a text file shows no object, unless none of its folder has one. Splits are those of
    folders' names.

    Returns:
        None where there is no such file.

    Raises:
        UserError: nothing names the classes.
    """
    texts = {path for path in files.ending_in(".txt") if path.name not in _LISTS}
    labels = {image: _label_file(image) for image in files.images}
    labelled_folders = {path.parent for path in labels.values() if path in texts}
    if not labelled_folders:
        return None
    class_names = _class_names(files)
    pictures, left = [], 0
    bad: dict[str, list[str]] = {}
    for image, path in labels.items():
        if path.parent not in labelled_folders:
            left += 1
            continue
        try:
            pictures.append(Picture(image, _things(path) if path in texts else []))
        except BadRecord as problem:
            files.note(bad, path, problem)
    splits, notes = files.into_splits(pictures)
    if left:
        notes.append(f"{left} image(s) in folders without labels")
    return Annotated(class_names, splits, bad, notes)


def _label_file(image: Path) -> Path:
    """Beside the image, or in the folder `labels` that is beside `images`."""
    parts = list(image.parts[:-1])
    for place in range(len(parts) - 1, -1, -1):
        if parts[place].casefold() == "images":
            parts[place] = "labels"
            break
    return Path(*parts, image.stem + ".txt")


def _things(path: Path) -> list[Thing]:
    """Centre, width and height of each object as shares of the picture, or a polygon's corners."""
    things = []
    text = read_bytes(path).decode(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            label, *values = map(float, words)
        except ValueError as error:
            raise BadRecord(f"line {number} holds something that is no number") from error
        if label != label // 1 or not 0 <= label < 2**31:
            raise BadRecord(f"line {number} has no valid class: {words[0][:20]}")
        if len(values) == 4:
            x, y, width, height = values
            box = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
        elif len(values) >= 6 and len(values) % 2 == 0:
            box = (min(values[1::2]), min(values[::2]), max(values[1::2]), max(values[::2]))
        else:
            raise BadRecord(
                f"line {number} has {len(words)} numbers, not 5 as of a class and a box"
            )
        things.append(Thing(box, int(label)))
    return things


def _class_names(files: Files) -> list[str]:
    for path in files.ending_in(".yaml", ".yml"):
        names = _names_of_yaml(path)
        if names:
            return names
    for path in files.all:
        if path.name in _LISTS:
            lines = read_bytes(path).decode(errors="replace").splitlines()
            names = [line.strip() for line in lines if line.strip()]
            if names and all(is_showable(name) for name in names):
                return names
    raise UserError(
        f"{files.folder} has YOLO's labels, but nothing names the classes: add a data.yaml with "
        f"'names', or {_LISTS[0]} with a name a line"
    )


def _names_of_yaml(path: Path) -> list[str]:
    """A list, or names by number; empty for YAML of another kind."""
    content = read_bytes(path)
    try:
        found: Any = yaml.safe_load(content) if len(content) <= _LARGEST_NAMES_FILE else None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise UserError(f"{path} is no YAML or is damaged ({error}); write it again") from error
    names = found.get("names") if isinstance(found, dict) else None
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise UserError(f"{path}: names must be numbered from 0; mend it")
        names = [names[number] for number in range(len(names))]
    if not names:
        return []
    if not isinstance(names, list) or not all(
        isinstance(name, str | int | float) and is_showable(str(name)) for name in names
    ):
        raise UserError(f"{path}: names must be a list of names; mend it")
    return [str(name) for name in names]
