"""Pascal VOC's annotation files: one XML file a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from micronet_keras.data.annotated.pictures import (
    Annotated,
    BadRecord,
    Files,
    Picture,
    Thing,
    refuse_shares,
    shown_size,
)
from micronet_keras.data.folder import SPLIT_FOLDERS, is_showable
from micronet_mcu.files import read_bytes

_SIDES = ("ymin", "xmin", "ymax", "xmax")


def read_voc_folder(files: Files) -> Annotated | None:
    """A folder of pictures with a Pascal VOC file each, side by side or in folders of their own.

    Splits are those of `ImageSets/Main/train.txt` and so on, else folders' names.

    Returns:
        None where there is no such file.

    Raises:
        UserError: the boxes are shares of the image.
    """
    pictures, sides = [], []
    bad: dict[str, list[str]] = {}
    names: set[str] = set()
    found = False
    for path in files.ending_in(".xml"):
        try:
            root = _parsed(path)
            if root is None:
                continue
            found = True
            image, objects = _picture(root, path, files)
        except BadRecord as problem:
            files.note(bad, path, problem)
            continue
        for _, name, _, pixels in objects:
            names.add(name)
            sides += [pixels[2] - pixels[0], pixels[3] - pixels[1]]
        pictures.append((image, objects))
    if not found:
        return None
    refuse_shares(sides, files.folder, "Pascal VOC")
    numbers = {name: number for number, name in enumerate(sorted(names))}
    listed = [
        Picture(image, [Thing(box, numbers[name], crowd) for box, name, crowd, _ in objects])
        for image, objects in pictures
    ]
    splits = _image_sets(files, listed)
    notes: list[str] = []
    if not splits:
        splits, notes = files.into_splits(listed)
    known = {picture.path for pictures in splits.values() for picture in pictures}
    if rest := sum(path not in known for path in files.images):
        notes.append(f"{rest} image(s) without an annotation, or in no list of a split")
    return Annotated(list(numbers), splits, bad, notes)


class _NoDoctype(ElementTree.TreeBuilder):
    """A document type may define entities, which come from elsewhere or grow without end."""

    def doctype(self, name: str, pubid: Any, system: Any) -> None:
        raise BadRecord("it has a document type, which no annotation needs")


def _parsed(path: Path) -> ElementTree.Element | None:
    """The root of an annotation; None of other XML.

    Raises:
        BadRecord: it is damaged.
    """
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype())
        root = ElementTree.fromstring(read_bytes(path), parser)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise BadRecord(f"it is no XML or is damaged ({error})") from error
    return root if root.tag == "annotation" else None


def _picture(
    root: ElementTree.Element, path: Path, files: Files
) -> tuple[Path, list[tuple[tuple[float, float, float, float], str, bool, list[float]]]]:
    """The image, and of each object the box as shares, the class, whether it is difficult, and
    the box in pixels."""
    try:
        image = files.image_of(path)
    except BadRecord:
        image = files.image(root.findtext("filename") or path.stem, path)
    width, height = shown_size(
        image, *(int(_number(root, f"size/{side}", 0)) for side in ("width", "height"))
    )
    objects = []
    for number, found in enumerate(root.iter("object")):
        name = (found.findtext("name") or "").strip()
        if not name or not is_showable(name):
            raise BadRecord(f"object {number} has no name")
        box = [_number(found, f"bndbox/{side}") for side in _SIDES]
        top, left, bottom, right = box
        relative = (top / height, left / width, bottom / height, right / width)
        objects.append((relative, name, _number(found, "difficult", 0) != 0, box))
    return image, objects


def _number(element: ElementTree.Element, path: str, missing: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and missing is not None:
        return missing
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not abs(value) < 2**31:
        raise BadRecord(f"{path} is no number: {(text or '')[:20]!r}")
    return value


def _image_sets(files: Files, pictures: list[Picture]) -> dict[str, list[Picture]]:
    by_stem = {picture.path.stem: picture for picture in pictures}
    splits = {}
    for path in files.ending_in(".txt"):
        if path.parent.name == "Main" and path.stem in SPLIT_FOLDERS:
            lines = read_bytes(path).decode(errors="replace").splitlines()
            stems = [line.split()[0] for line in lines if line.strip()]
            splits[SPLIT_FOLDERS[path.stem]] = [by_stem[stem] for stem in stems if stem in by_stem]
    return splits
