"""COCO's annotation files, boxes and keypoints: a careful reader that believes nothing."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micronet_keras.data.annotated.pictures import (
    Annotated,
    BadRecord,
    Files,
    Picture,
    Thing,
    refuse_shares,
    shown_size,
    split_named,
)
from micronet_keras.data.folder import divided, is_showable
from micronet_keras.data.skeleton import Skeleton, make_skeleton, read_skeleton
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes, read_json

SKELETON_FILE = "skeleton.json"
_KIND = "a file of COCO with lists 'images' and 'annotations'"
# COCO's own files of one split, and what each is for.
_FILE_WORDS = {"boxes": "instances", "keypoints": "keypoints"}
# An annotation file is not of a single picture: that many are not looked into.
_MOST_FILES = 20


@dataclasses.dataclass(frozen=True)
class CocoObject:
    """One annotation, in COCO's own numbers.

    Attributes:
        id: of the annotation.
        category: id of the category.
        box: (left, top, width, height) in pixels.
        keypoints: float64 [n, 3]: column and row of a pixel (whole numbers are pixel centres),
            visibility (0 not labelled, 1 hidden, 2 visible); None in a category without.
        area: of the object's outline in pixels; of the box where it is not said.
        is_crowd: a box around many objects, without keypoints.
    """

    id: int
    category: int
    box: tuple[float, float, float, float]
    keypoints: np.ndarray | None
    area: float
    is_crowd: bool


@dataclasses.dataclass(frozen=True)
class CocoImage:
    """One image and its objects."""

    id: int
    path: Path
    width: int
    height: int
    objects: list[CocoObject] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class CocoCategory:
    """A class; `keypoints` are their names, empty without, `more` as of `make_skeleton`."""

    name: str
    above: str
    keypoints: tuple[str, ...]
    more: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Coco:
    """An annotation file.

    Attributes:
        images: in the order of the file.
        categories: by id.
        bad_records: one line for every record that was left out: the file, the record, and what
            is wrong.
    """

    images: list[CocoImage]
    categories: dict[int, CocoCategory]
    bad_records: list[str]


def read_coco(
    annotations: str | os.PathLike,
    files: Files,
    wanted: Callable[[CocoCategory], bool] = lambda category: True,
    keypoints: Sequence[str] = (),
) -> Coco:
    """Reads an annotation file of COCO's format.

    Args:
        annotations: e.g. `instances_val2017.json`.
        files: of the folder with the images.
        wanted: objects of other categories are not looked at.
        keypoints: their names, for a file whose only category does not name them.

    Raises:
        UserError: the file cannot be read, is not JSON, has no lists of images, annotations and
            categories, or its boxes are shares of the image.

    Example:

    >>> Path("val2017").mkdir()
    >>> coco = read_coco("person_keypoints_val2017.json", Files(Path("val2017")))
    >>> coco.bad_records[0]  # where the folder is empty
    'person_keypoints_val2017.json image 785: there is no file val2017/000000000785.jpg'
    """
    annotations = Path(annotations)
    content = read_json(
        annotations, _KIND, {"images": list, "annotations": list}, advice="fetch it again"
    )
    categories = _categories(content.get("categories"), annotations)
    if keypoints and len(categories) == 1:
        ((number, only),) = categories.items()
        if not only.keypoints:
            categories[number] = dataclasses.replace(only, keypoints=tuple(keypoints))
    images: dict[int, CocoImage] = {}
    paths: dict[Path, int] = {}
    bad_records: list[str] = []

    def collect(kind: str, records: list, read: Callable[[Any], None]) -> None:
        for i, record in enumerate(records):
            try:
                read(record)
            except BadRecord as problem:
                name = (
                    record.get("id", f"number {i}") if isinstance(record, dict) else f"number {i}"
                )
                bad_records.append(f"{annotations.name} {kind} {name}: {problem}")

    def read_image(record):
        image = _image(record, files, annotations)
        if image.id in images:
            raise BadRecord("the id appears twice")
        if image.path in paths:
            raise BadRecord(f"{image.path.name} is image {paths[image.path]}, too")
        images[image.id] = image
        paths[image.path] = image.id

    def read_object(record):
        category = _whole(record, "category_id")
        if category not in categories:
            raise BadRecord(f"there is no category {category}")
        if not wanted(categories[category]):
            return
        found, image_id = _object(record, category, len(categories[category].keypoints))
        if image_id not in images:
            raise BadRecord(f"image {image_id} is missing or bad")
        images[image_id].objects.append(found)

    collect("image", content["images"], read_image)
    collect("annotation", content["annotations"], read_object)
    sides = [side for image in images.values() for found in image.objects for side in found.box[2:]]
    refuse_shares(sides, annotations, "COCO")
    return Coco(list(images.values()), categories, bad_records)


def relative(
    found: CocoObject, image: CocoImage
) -> tuple[tuple[float, float, float, float], np.ndarray | None]:
    """The box (top, left, bottom, right) and the keypoints of an object as shares of its image.

    COCO counts pixel centres, here the corner of the image is 0: half a pixel is added.
    """
    left, top, width, height = found.box
    box = (
        top / image.height,
        left / image.width,
        (top + height) / image.height,
        (left + width) / image.width,
    )
    if found.keypoints is None:
        return box, None
    keypoints = found.keypoints.copy()
    keypoints[:, :2] = (keypoints[:, :2] + 0.5) / (image.width, image.height)
    keypoints[found.keypoints[:, 2] == 0] = 0
    return box, keypoints


def read_coco_folder(files: Files, kind: str) -> Annotated | None:
    """A folder with annotation files of COCO's format, one for each split or one for all.

    Args:
        files: of the folder.
        kind: "boxes", or "keypoints": only objects of the one category with keypoints. What its
            file does not say of them may stand in a file `skeleton.json`, see `read_skeleton`.

    Returns:
        None where there is no such file.

    Raises:
        UserError: a file is damaged, there are several for one split, or no keypoints.
    """
    annotations = _annotation_files(files, kind)
    if not annotations:
        return None
    more = next((path for path in files.all if path.name == SKELETON_FILE), None)
    extra = read_skeleton(more) if more and kind == "keypoints" else {}

    def wanted(category: CocoCategory) -> bool:
        return kind == "boxes" or bool(category.keypoints)

    read = {
        split: read_coco(path, files, wanted, extra.get("names", ()))
        for split, path in annotations.items()
    }
    used = {
        coco.categories[found.category].name
        for coco in read.values()
        for image in coco.images
        for found in image.objects
    }
    categories = [
        coco.categories[number] for coco in read.values() for number in sorted(coco.categories)
    ]
    above = {category.above for category in categories}
    names = list(
        dict.fromkeys(
            category.name
            for category in categories
            # A group of classes that nothing is labelled as is no class.
            if wanted(category) and (category.name in used or category.name not in above)
        )
    )
    skeleton = None
    if kind == "keypoints":
        skeleton = _skeleton([c for c in categories if c.keypoints], extra, files.folder)
    numbers = {name: number for number, name in enumerate(names)}
    splits = {
        split: [
            Picture(image.path, [_thing(found, image, coco, numbers) for found in image.objects])
            for image in coco.images
        ]
        for split, coco in read.items()
    }
    bad_records = {split: coco.bad_records for split, coco in read.items()}
    if list(splits) == [""]:
        everything, bad = splits.pop(""), bad_records.pop("")
        splits = divided(everything, lambda picture: picture.path.relative_to(files.folder))
        bad_records = {"train": bad}
    listed = {picture.path for pictures in splits.values() for picture in pictures}
    rest = sum(path not in listed for path in files.images)
    notes = [f"{rest} image(s) that no annotation file lists"] if rest else []
    return Annotated(names, splits, bad_records, notes, skeleton)


def _annotation_files(files: Files, kind: str) -> dict[str, Path]:
    """The annotation files by split; by "" a single one of no split."""
    stems = {path.stem for path in files.images}
    candidates = [
        path
        for path in files.ending_in(".json")
        if path.stem not in stems and path.name != SKELETON_FILE
    ]
    if len(candidates) > _MOST_FILES:
        return {}
    by_split: dict[str, list[Path]] = {}
    for path in candidates:
        # Whole files of COCO take half a minute to parse: looked into, and read only when chosen.
        content = read_bytes(path)
        if b'"images"' in content and b'"annotations"' in content:
            split = split_named(path.stem) or files.split_of(path) or ""
            by_split.setdefault(split, []).append(path)
    chosen = {}
    for split, paths in by_split.items():
        better = [path for path in paths if _FILE_WORDS[kind] in path.name]
        if len(paths) > 1 and len(better) != 1:
            named = ", ".join(str(path.relative_to(files.folder)) for path in paths)
            raise UserError(
                f"{files.folder} has several annotation files for one split, {split or 'of none'}: "
                f"{named}; leave one, with train, val or test in its name"
            )
        chosen[split] = better[0] if better else paths[0]
    if "" in chosen and len(chosen) > 1:
        raise UserError(
            f"{chosen['']} is for no split, others are: put train, val or test into its name"
        )
    return chosen


def _thing(found: CocoObject, image: CocoImage, coco: Coco, numbers: dict[str, int]) -> Thing:
    box, keypoints = relative(found, image)
    return Thing(
        box,
        numbers[coco.categories[found.category].name],
        found.is_crowd,
        keypoints,
        found.area,
    )


def _skeleton(categories: Sequence[CocoCategory], extra: dict[str, Any], folder: Path) -> Skeleton:
    if not categories:
        raise UserError(
            f"{folder} has no keypoints: a category of its annotation file needs 'keypoints', a "
            "list of their names"
        )
    first = categories[0]
    for other in categories:
        if other.name != first.name or other.keypoints != first.keypoints:
            raise UserError(
                f"{folder} has keypoints of several kinds, {first.name} and {other.name}, of "
                f"{len(first.keypoints)} and {len(other.keypoints)}; leave one category with them"
            )
    names = list(extra.get("names", first.keypoints))
    if len(names) != len(first.keypoints):
        raise UserError(
            f"{folder / SKELETON_FILE} names {len(names)} keypoints, category {first.name} has "
            f"{len(first.keypoints)}"
        )
    try:
        return make_skeleton(first.name, names, {**first.more, **extra})
    except ValueError as error:
        raise UserError(f"{folder}: the keypoints of {first.name}: {error}") from error


def _categories(found: Any, path: Path) -> dict[int, CocoCategory]:
    categories = {}
    for record in found if isinstance(found, list) else []:
        try:
            number, name = _whole(record, "id"), _text(record, "name")
            if not is_showable(name):
                raise BadRecord(f"the name {name!r}")
        except BadRecord as problem:
            raise UserError(f"{path}: a category has {problem}; mend it") from problem
        keypoints = record.get("keypoints") or []
        if not isinstance(keypoints, list) or not all(isinstance(k, str) for k in keypoints):
            raise UserError(f"{path}: the keypoints of category {name!r} must be names; mend them")
        more = {key: record[key] for key in ("flip_pairs", "sigmas") if key in record}
        if keypoints and record.get("skeleton"):
            more["bones"] = _bones(record["skeleton"], keypoints, path)
        categories[number] = CocoCategory(
            name, str(record.get("supercategory", "")), tuple(keypoints), more
        )
    if not categories:
        raise UserError(f"{path} has no list of categories with ids and names; fetch it again")
    return categories


def _bones(skeleton: Any, keypoints: list[str], path: Path) -> list[tuple[str, str]]:
    """COCO counts keypoints from 1 here."""
    try:
        pairs = [(int(a) - 1, int(b) - 1) for a, b in skeleton]
        if any(min(pair) < 0 for pair in pairs):
            raise IndexError
        return [(keypoints[a], keypoints[b]) for a, b in pairs]
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise UserError(
            f"{path}: the skeleton must be pairs of numbers from 1 to {len(keypoints)}; mend it"
        ) from error


def _text(record: Any, name: str) -> str:
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, str):
        raise BadRecord(f"no valid {name!r}")
    return value


def _number(record: Any, name: str) -> float:
    value = record.get(name) if isinstance(record, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord(f"no valid {name!r}")
    if not _is_measurable(value):
        raise BadRecord(f"{name!r} is not finite, or beyond 64 bits")
    return value


def _whole(record: Any, name: str) -> int:
    """A whole number, also one that was written as 7.0."""
    value = _number(record, name)
    if value != int(value):
        raise BadRecord(f"no valid {name!r}")
    return int(value)


def _is_measurable(value: float) -> bool:
    """JSON has integers of any length, and Python reads NaN and Infinity, too."""
    return abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)


def _numbers(record: Any, name: str, count: int) -> np.ndarray:
    values = record.get(name)
    if not isinstance(values, list) or len(values) != count:
        length = f"{len(values)} numbers" if isinstance(values, list) else "no list"
        raise BadRecord(f"{name!r} must have {count} numbers, it has {length}")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise BadRecord(f"{name!r} holds something that is no number")
    if not all(map(_is_measurable, values)):
        raise BadRecord(f"{name!r} is not finite, or beyond 64 bits")
    return np.array(values, np.float64)


def _image(record: Any, files: Files, annotations: Path) -> CocoImage:
    name = _text(record, "file_name")
    size = {}
    for side in ("width", "height"):
        if side in record and (length := _whole(record, side)) <= 0:
            raise BadRecord(f"the {side} is {length}")
        size[side] = _whole(record, side) if side in record else None
    path = files.image(name, annotations)
    return CocoImage(_whole(record, "id"), path, *shown_size(path, **size))


def _object(record: Any, category: int, keypoint_count: int) -> tuple[CocoObject, int]:
    box = _numbers(record, "bbox", 4)
    if box[2] <= 0 or box[3] <= 0:
        raise BadRecord(f"the box has no area: {box.tolist()}")
    area, keypoints = float(box[2] * box[3]), None
    if keypoint_count:
        keypoints = _numbers(record, "keypoints", 3 * keypoint_count).reshape(-1, 3)
        if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
            raise BadRecord("visibility must be 0, 1 or 2")
        labelled = int((keypoints[:, 2] > 0).sum())
        if record.get("num_keypoints", labelled) != labelled:
            raise BadRecord(f"num_keypoints is {record['num_keypoints']}, {labelled} are labelled")
        if "area" in record:
            area = float(_number(record, "area"))
        if area <= 0:
            raise BadRecord(f"the area is {area}")
    found = CocoObject(
        _whole(record, "id"),
        category,
        tuple(box.tolist()),
        keypoints,
        area,
        bool(record.get("iscrowd", 0)),
    )
    return found, _whole(record, "image_id")
