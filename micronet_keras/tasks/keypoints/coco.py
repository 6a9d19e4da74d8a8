"""COCO's keypoint annotations: a careful reader, and a TFDS builder over it."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from micronet_keras.tasks.keypoints.skeleton import KEYPOINT_COUNT, KEYPOINT_NAMES
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_json


@dataclasses.dataclass(frozen=True)
class CocoPerson:
    """One annotation, in COCO's own numbers.

    Attributes:
        id: of the annotation.
        box: (left, top, width, height) in pixels.
        keypoints: float64 [17, 3]: column and row of a pixel (whole numbers are pixel centres),
            visibility (0 not labelled, 1 hidden, 2 visible).
        area: of the person's outline in pixels.
        is_crowd: a box around many people, without keypoints.
    """

    id: int
    box: tuple[float, float, float, float]
    keypoints: np.ndarray
    area: float
    is_crowd: bool


@dataclasses.dataclass(frozen=True)
class CocoImage:
    """One image and its people."""

    id: int
    path: Path
    width: int
    height: int
    people: list[CocoPerson] = dataclasses.field(default_factory=list)


def read_coco(
    annotations: str | os.PathLike, folder: str | os.PathLike
) -> tuple[list[CocoImage], list[str]]:
    """Reads an annotation file of COCO's format, believing nothing.

    Args:
        annotations: e.g. `person_keypoints_val2017.json`.
        folder: with the images.

    Returns:
        (images, bad_records): the images in the order of the file, and one line for every record
        that was left out: the file, the record, and what is wrong.

    Raises:
        UserError: the file cannot be read, is not JSON, or has no lists of images and annotations.

    Example:

    >>> images, bad_records = read_coco("person_keypoints_val2017.json", "val2017")
    >>> bad_records[0]  # where the folder is empty
    'person_keypoints_val2017.json image 785: there is no file val2017/000000000785.jpg'
    """
    annotations, folder = Path(annotations), Path(folder)
    content = read_json(
        annotations, "a file of COCO with lists 'images' and 'annotations'",
        {"images": list, "annotations": list}, advice="fetch it again",
    )  # fmt: skip
    images: dict[int, CocoImage] = {}
    bad_records: list[str] = []

    def collect(kind, records, read):
        for i, record in enumerate(records):
            try:
                read(record)
            except _BadRecord as problem:
                name = (
                    record.get("id", f"number {i}") if isinstance(record, dict) else f"number {i}"
                )
                bad_records.append(f"{annotations.name} {kind} {name}: {problem}")

    def read_image(record):
        image = _image(record, folder)
        if image.id in images:
            raise _BadRecord("the id appears twice")
        images[image.id] = image

    def read_person(record):
        if _field(record, "category_id", int) != person_category:
            return
        person, image_id = _person(record)
        if image_id not in images:
            raise _BadRecord(f"image {image_id} is missing or bad")
        images[image_id].people.append(person)

    person_category = _person_category(content.get("categories"))
    collect("image", content["images"], read_image)
    collect("annotation", content["annotations"], read_person)
    return list(images.values()), bad_records


class CocoKeypoints(tfds.core.GeneratorBasedBuilder):
    """People of COCO 2017 with 17 keypoints, from files that you have downloaded.

    The features are those of `micronet_shapes`: `objects` with relative `bbox`, `label` (always
    "person"), `keypoints` [17, 3] (x and y relative to the image, visibility), `area`, `is_crowd`;
    and `image_id`. COCO counts pixel centres, here the corner of the image is 0: half a pixel is
    added. Records that are wrong are left out and listed in `info.metadata`, by split.

    Example:

    >>> tfds.load("coco_keypoints", data_dir="/data/tfds", split="validation")
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Put (or link) these of https://cocodataset.org/#download into <data_dir>/downloads/manual:
    train2017/ and val2017/ with the images, annotations/person_keypoints_train2017.json and
    annotations/person_keypoints_val2017.json. A split whose files are absent is left out.
    """
    _YEARS = {"train": "train2017", "validation": "val2017"}

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            homepage="https://cocodataset.org",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "image_id": np.int64,
                    "objects": tfds.features.Sequence(
                        {
                            "bbox": tfds.features.BBoxFeature(),
                            "label": tfds.features.ClassLabel(names=["person"]),
                            "keypoints": tfds.features.Tensor(
                                shape=(KEYPOINT_COUNT, 3), dtype=np.float32
                            ),
                            "area": np.float32,
                            "is_crowd": np.bool_,
                        }
                    ),
                }
            ),
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = Path(dl_manager.manual_dir)
        splits = {}
        for split, year in self._YEARS.items():
            annotations = folder / "annotations" / f"person_keypoints_{year}.json"
            if annotations.exists():
                images, bad_records = read_coco(annotations, folder / year)
                self.info.metadata[split] = bad_records
                splits[split] = self._generate_examples(images)
        if not splits:
            raise UserError(
                f"{folder} has no annotations/person_keypoints_train2017.json or _val2017.json; "
                "fetch COCO 2017 from https://cocodataset.org/#download and put it there"
            )
        return splits

    def _generate_examples(self, images: list[CocoImage]) -> Iterator[tuple[int, dict]]:
        for image in images:
            yield (
                image.id,
                {
                    "image": image.path,
                    "image_id": image.id,
                    "objects": [_relative(person, image) for person in image.people],
                },
            )


class _BadRecord(Exception):
    """A record is left out; the message says why."""


def _person_category(categories) -> int:
    for category in categories if isinstance(categories, list) else []:
        if isinstance(category, dict) and category.get("name") == "person":
            if category.get("keypoints", list(KEYPOINT_NAMES)) != list(KEYPOINT_NAMES):
                raise UserError(
                    f"category 'person' has other keypoints than COCO's 17: {category['keypoints']}"
                )
            return category.get("id")
    return 1


def _field(record, name: str, kind):
    value = record.get(name) if isinstance(record, dict) else None
    if isinstance(value, bool) or not isinstance(value, kind):
        raise _BadRecord(f"no valid {name!r}")
    if kind is not str and not _is_measurable(value):
        raise _BadRecord(f"{name!r} is not finite, or beyond 64 bits")
    return value


def _is_measurable(value: float) -> bool:
    """JSON has integers of any length, and Python reads NaN and Infinity, too."""
    return abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)


def _numbers(record, name: str, count: int) -> np.ndarray:
    values = record.get(name)
    if not isinstance(values, list) or len(values) != count:
        length = f"{len(values)} numbers" if isinstance(values, list) else "no list"
        raise _BadRecord(f"{name!r} must have {count} numbers, it has {length}")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise _BadRecord(f"{name!r} holds something that is no number")
    if not all(map(_is_measurable, values)):
        raise _BadRecord(f"{name!r} is not finite, or beyond 64 bits")
    return np.array(values, np.float64)


def _image(record, folder: Path) -> CocoImage:
    name = _field(record, "file_name", str)
    width, height = _field(record, "width", int), _field(record, "height", int)
    if width <= 0 or height <= 0:
        raise _BadRecord(f"the size is {width} x {height}")
    # Only plain names: an annotation file must not reach files elsewhere.
    if Path(name).name != name:
        raise _BadRecord(f"the file name is a path: {name!r}")
    path = folder / name
    try:
        there = path.is_file()
    except OSError:  # No file can have such a name.
        there = False
    if not there:
        raise _BadRecord(f"there is no file {path}")
    return CocoImage(_field(record, "id", int), path, width, height)


def _person(record) -> tuple[CocoPerson, int]:
    box = _numbers(record, "bbox", 4)
    if box[2] <= 0 or box[3] <= 0:
        raise _BadRecord(f"the box has no area: {box.tolist()}")
    keypoints = _numbers(record, "keypoints", 3 * KEYPOINT_COUNT).reshape(-1, 3)
    if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
        raise _BadRecord("visibility must be 0, 1 or 2")
    labelled = int((keypoints[:, 2] > 0).sum())
    if record.get("num_keypoints", labelled) != labelled:
        raise _BadRecord(f"num_keypoints is {record['num_keypoints']}, {labelled} are labelled")
    area = float(_field(record, "area", int | float))
    if area <= 0:
        raise _BadRecord(f"the area is {area}")
    crowd = bool(record.get("iscrowd", 0))
    person = CocoPerson(_field(record, "id", int), tuple(box.tolist()), keypoints, area, crowd)
    return person, _field(record, "image_id", int)


def _relative(person: CocoPerson, image: CocoImage) -> dict:
    left, top, width, height = person.box
    # Boxes reach over the edge by fractions of a pixel; TFDS wants them inside.
    edges = np.clip([top / image.height, left / image.width, (top + height) / image.height,
                     (left + width) / image.width], 0, 1)  # fmt: skip
    keypoints = person.keypoints.copy()
    keypoints[:, :2] = (keypoints[:, :2] + 0.5) / (image.width, image.height)
    keypoints[person.keypoints[:, 2] == 0] = 0
    return {
        "bbox": tfds.features.BBox(*edges.tolist()),
        "label": "person",
        "keypoints": keypoints.astype(np.float32),
        "area": person.area,
        "is_crowd": person.is_crowd,
    }
