"""COCO's people with keypoints as a TFDS builder over its annotation files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from micronet_keras.data.annotated.coco import (
    CocoCategory,
    CocoImage,
    CocoObject,
    read_coco,
    relative,
)
from micronet_keras.data.annotated.pictures import Files
from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON
from micronet_mcu.errors import UserError


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
                                shape=(len(COCO_PERSON.names), 3), dtype=np.float32
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
                images, bad_records = _people(annotations, folder / year)
                self.info.metadata[split] = bad_records
                splits[split] = self._generate_examples(images)
        if not splits:
            raise UserError(
                f"{folder} has no annotations/person_keypoints_train2017.json or _val2017.json; "
                f"{' '.join(self.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
            )
        return splits

    def _generate_examples(self, images: list[CocoImage]) -> Iterator[tuple[int, dict]]:
        for image in images:
            yield (
                image.id,
                {
                    "image": image.path,
                    "image_id": image.id,
                    "objects": [_features(person, image) for person in image.objects],
                },
            )


def _people(annotations: Path, folder: Path) -> tuple[list[CocoImage], list[str]]:
    """The images and, of their objects, the people; the records that were left out.

    Raises:
        UserError: the file is damaged, or its people have other keypoints.
    """
    coco = read_coco(annotations, Files(folder), _is_person)
    for category in filter(_is_person, coco.categories.values()):
        if category.keypoints != COCO_PERSON.names:
            raise UserError(
                f"{annotations}: category {category.name!r} has other keypoints than COCO's 17: "
                f"{', '.join(category.keypoints)}; give the folder itself as dataset"
            )
    return coco.images, coco.bad_records


def _is_person(category: CocoCategory) -> bool:
    return category.name.casefold() == "person"


def _features(person: CocoObject, image: CocoImage) -> dict:
    box, keypoints = relative(person, image)
    return {
        # Boxes reach over the edge by fractions of a pixel; TFDS wants them inside.
        "bbox": tfds.features.BBox(*np.clip(box, 0, 1).tolist()),
        "label": "person",
        "keypoints": np.asarray(keypoints, np.float32),
        "area": person.area,
        "is_crowd": person.is_crowd,
    }
