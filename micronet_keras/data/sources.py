"""Any image dataset by name: the bundled one, any of TFDS, or a folder of pictures."""

import dataclasses
import os
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from micronet_keras.data import annotated
from micronet_keras.data.decoding import BadImages
from micronet_keras.data.folder import encoded_files, read_folder
from micronet_keras.data.micronet_shapes import MicronetShapes
from micronet_keras.data.part import Part
from micronet_keras.data.skeleton import Skeleton
from micronet_mcu.errors import UserError
from micronet_mcu.shown import Shown, some_of

DEFAULT_DATASET = MicronetShapes.name


@dataclasses.dataclass(frozen=True, repr=False)
class Source(Shown):
    """A dataset that can be read again and again.

    Attributes:
        name: what it was loaded as.
        class_names: of the labels; of the objects' labels where an image has none of its own.
        splits: examples per split.
        has_labels: every image has one `label` (classification). Without, `objects` has them.
        crop_fraction: the share of the shorter side that the evaluation's centre crop keeps.
        bad_images: those that were met so far and did not decode.
        object_class_names: of the labels of `objects`; empty where records have none.
        data_dir: where TFDS keeps it, as it was given; None for its default and for folders.
        notes: what is to be known about it, such as files that were left out; one line each.
        read_labels: the labels of a split without their images, in the same order; None where
            nothing is saved by that.
        bad_records: by split, one line for each annotation that could not even be read.
        skeleton: of the objects' keypoints, where the dataset says it; COCO's persons else.
        part: the rows of every training batch that this process makes; all of them by default.
    """

    name: str
    class_names: list[str]
    splits: dict[str, int]
    has_labels: bool
    crop_fraction: float
    read: Callable[[str], tf.data.Dataset] = dataclasses.field(repr=False)
    bad_images: BadImages = dataclasses.field(default_factory=BadImages, repr=False)
    object_class_names: list[str] = dataclasses.field(default_factory=list, repr=False)
    data_dir: str | None = None
    notes: tuple[str, ...] = ()
    read_labels: Callable[[str], tf.data.Dataset] | None = dataclasses.field(
        default=None, repr=False
    )
    bad_records: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict, repr=False)
    skeleton: Skeleton | None = None
    part: Part = Part()

    def facts(self) -> list[tuple[str, str]]:
        splits = ", ".join(f"{name} {count:,}" for name, count in self.splits.items())
        return [
            ("dataset", self.name),
            ("classes", some_of(self.class_names)),
            ("examples", splits),
            *(("", note) for note in self.notes),
        ]

    def raw(self, split: str) -> tf.data.Dataset:
        """The records of a split, always in the same order, images still encoded.

        Returns:
            tf.data.Dataset of dicts: `image` (string, the encoded file), `record` (string, a file
            name or record id), `label` (int64, when `has_labels`) and, for TFDS, every other
            feature of the dataset, such as `objects`.

        Raises:
            UserError: no such split.
        """
        self._require(split)
        return self.read(split)

    def labels(self, split: str) -> tf.data.Dataset:
        """The labels of a split, int64, in the order of `raw`.

        Raises:
            UserError: no such split, or images without labels.
        """
        self._require(split)
        if not self.has_labels:
            raise UserError(f"the images of dataset {self.name!r} have no labels")
        if self.read_labels:
            return self.read_labels(split)
        return self.read(split).map(lambda record: tf.cast(record["label"], tf.int64))

    def _require(self, split: str) -> None:
        if split not in self.splits:
            raise UserError(
                f"dataset {self.name!r} has no split {split!r}; it has: {', '.join(self.splits)}"
            )


def load_dataset(
    name: str | os.PathLike | tfds.core.DatasetBuilder = DEFAULT_DATASET,
    data_dir: str | os.PathLike | None = None,
    annotations: str | None = None,
) -> Source:
    """Finds a dataset and prepares it, which downloads or draws it on first use.

    Args:
        name: `micronet_shapes` or `micronet_shapes/multi` (bundled), the name of any TensorFlow
            dataset with images (`cifar10`, `name/config`), or a folder with a sub-folder of images
            per class, optionally below `train`, `validation` and `test` folders, in any case and by
            their usual other names (`training`, `val`, `valid`, `testing`). Without those,
            80 / 10 / 10 % of the images go to the three splits, by a hash of their names. Or a
            builder of TensorFlow Datasets.
        data_dir: where TFDS keeps its datasets; its own default (~/tensorflow_datasets) when None.
        annotations: "boxes" or "keypoints": what a folder is read for in the place of classes. It
            holds images with COCO JSON, Pascal VOC XML or YOLO txt (keypoints: COCO JSON).

    Returns:
        A `Source`.

    Raises:
        ValueError: there are no such `annotations`.
        UserError: unknown dataset, no download possible, no images, no labels, an empty folder.

    Example:

    >>> source = load_dataset("pictures")  # a folder; or "micronet_shapes", "cifar10", ...
    >>> source.class_names, source.splits["train"]
    (['green', 'red'], 60)
    """
    if annotations not in (None, *annotated.KINDS):
        raise ValueError(
            f"annotations must be None or one of {annotated.KINDS}. Received: {annotations!r}"
        )
    if isinstance(name, tfds.core.DatasetBuilder):
        _prepare(name, name.info.full_name)
        return _tfds_source(name, name.info.full_name)
    if not isinstance(name, str | os.PathLike):
        raise UserError(
            "a dataset is the name of one of TFDS, a folder or a TFDS builder; arrays and tf.data "
            f"sets go into as_source(images, labels). Received: {type(name).__name__}"
        )
    name = os.fspath(name)
    if name.startswith((".", "~", "/")) or Path(name).is_absolute():
        return _folder_source(name, annotations)
    builder = _builder(name, data_dir)
    if builder is not None:
        _prepare(builder, name)
        source = _tfds_source(builder, name)
        return dataclasses.replace(source, data_dir=os.fspath(data_dir) if data_dir else None)
    if name and Path(name).is_dir():
        return _folder_source(name, annotations)
    raise UserError(
        f"unknown dataset {name!r}: give {DEFAULT_DATASET!r} (bundled), a TFDS name such as "
        "'cifar10' (with data_dir, if it lies elsewhere), or an existing folder"
    )


def _builder(name: str, data_dir: str | os.PathLike | None) -> tfds.core.DatasetBuilder | None:
    """The builder of a TFDS name, None when there is no dataset of that name."""
    match = re.fullmatch(r"(\w+)(?:/([\w.+-]+))?(:[\d.*]+)?", name)
    if not match:
        return None
    where = {"data_dir": os.fspath(data_dir)} if data_dir else {}
    try:
        return tfds.builder(name, **where)
    except tfds.core.DatasetNotFoundError:
        return None
    except Exception as error:  # Of any kind: a wrong configuration or version, a missing package.
        reason = _first_line(error)
        if match[2] and "BuilderConfig" in reason:
            known = ", ".join(tfds.builder_cls(match[1]).builder_configs)
            reason = f"no configuration {match[2]!r}; there are: {known}"
        raise UserError(f"cannot open dataset {name!r}: {reason}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":")


def _folder_source(name: str, annotations: str | None) -> Source:
    folder = Path(name).expanduser()
    if annotations:
        return _annotated_source(name, folder, annotations)
    found = read_folder(folder)

    def read_labels(split: str) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(tf.constant(found.labels(split), tf.int64))

    def read(split: str) -> tf.data.Dataset:
        files = encoded_files([path for _, path in found.splits[split]], folder)
        return tf.data.Dataset.zip(files, read_labels(split)).map(
            lambda record, label: {**record, "label": label}
        )

    return Source(
        name,
        found.class_names,
        {split: len(listed) for split, listed in found.splits.items()},
        has_labels=True,
        crop_fraction=0.875,
        read=read,
        notes=tuple(found.notes),
        read_labels=read_labels,
    )


def _annotated_source(name: str, folder: Path, kind: str) -> Source:
    found = annotated.read_annotated(folder, kind)

    def read(split: str) -> tf.data.Dataset:
        pictures = found.splits[split]
        things = [thing for picture in pictures for thing in picture.things]
        ends = np.cumsum([0, *(len(picture.things) for picture in pictures)])
        columns: dict[str, Any] = {
            "bbox": np.array([thing.box for thing in things], np.float32).reshape(-1, 4),
            "label": np.array([thing.label for thing in things], np.int64),
            "is_crowd": np.array([thing.crowd for thing in things], bool),
        }
        if found.skeleton:
            keypoints = [thing.keypoints for thing in things]
            shape = (-1, len(found.skeleton.names), 3)
            columns["keypoints"] = np.array(keypoints, np.float32).reshape(shape)
            columns["area"] = np.array([thing.area for thing in things], np.float32)

        def with_objects(number, record):
            begin, end = tf.gather(ends, number), tf.gather(ends, number + 1)
            return {**record, "objects": {key: value[begin:end] for key, value in columns.items()}}

        files = encoded_files([picture.path for picture in pictures], folder)
        columns = {key: tf.constant(value) for key, value in columns.items()}
        return files.enumerate().map(with_objects)

    return Source(
        name,
        found.class_names,
        {split: len(pictures) for split, pictures in found.splits.items()},
        has_labels=False,
        crop_fraction=0.875,
        read=read,
        object_class_names=found.class_names,
        notes=tuple(found.notes),
        bad_records=found.bad_records,
        skeleton=found.skeleton,
    )


def _prepare(builder: tfds.core.DatasetBuilder, name: str) -> None:
    """Downloads or draws the dataset unless it is there. TFDS writes to a temporary folder."""
    if builder.is_prepared():
        return
    where = f"{name!r} in {builder.data_dir}"
    hosts = {urllib.parse.urlsplit(url).hostname for url in builder.url_infos or ()}
    if hosts and not urllib.request.getproxies() and not any(map(_resolves, hosts)):
        # TFDS itself would try for minutes.
        raise UserError(
            f"cannot download dataset {where}: {', '.join(sorted(hosts))} cannot be reached; "
            "connect to the network, or give the data_dir that has the dataset already"
        )
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        builder.download_and_prepare(download_config=config)
    except Exception as error:  # Whatever a builder's own code and the network may raise.
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and isinstance(error, AssertionError | UserError):
            # Files are missing that nobody can download: the message ends with what to put where.
            reason = " ".join(str(error).split())
            raise UserError(f"cannot prepare dataset {where}: {reason}") from error
        raise UserError(
            f"cannot prepare dataset {where}: {_first_line(error)}; "
            "check the network and the disk, or give the data_dir that has it already"
        ) from error


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, 443))
    except OSError:
        return False


def _tfds_source(builder: tfds.core.DatasetBuilder, name: str) -> Source:
    image_key, label_key = _image_and_label(builder.info, name)
    splits = {split: info.num_examples for split, info in builder.info.splits.items()}
    if not any(splits.values()):
        raise UserError(f"dataset {name!r} has no examples in {builder.data_dir}")

    def read(split: str) -> tf.data.Dataset:
        dataset = builder.as_dataset(
            split=split,
            decoders={image_key: tfds.decode.SkipDecoding()},
            # One file after the other: record 17 is what TFDS calls split[17:18].
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )

        def renamed(number, example):
            record = dict(example)
            record["image"] = record.pop(image_key)
            record["record"] = tf.strings.join([split, "[", tf.strings.as_string(number), "]"])
            if label_key:
                record["label"] = record.pop(label_key)
            return record

        return dataset.enumerate().map(renamed)

    return Source(
        name,
        class_names=list(_label_feature(builder.info.features, label_key).names),
        splits=splits,
        has_labels=label_key is not None,
        # The bundled images are drawn at the size that they are meant for: nothing to cut off.
        crop_fraction=1.0 if builder.name == DEFAULT_DATASET else 0.875,
        read=read,
        object_class_names=list(getattr(_object_features(builder.info).get("label"), "names", [])),
    )


def _object_features(info: tfds.core.DatasetInfo) -> dict:
    """What is recorded about each object of an image; empty where there are none."""
    return dict(getattr(dict(info.features).get("objects"), "feature", {}))


def _label_feature(features, label_key: str | None):
    return features[label_key] if label_key else features["objects"].feature["label"]


def _image_and_label(info: tfds.core.DatasetInfo, name: str) -> tuple[str, str | None]:
    """The keys of the image and of its label; no label is needed where objects have them."""

    def pick(kind, usual: str) -> str | None:
        keys = [key for key, feature in info.features.items() if isinstance(feature, kind)]
        supervised = info.supervised_keys or ()
        for key in (usual, *supervised[:2]):
            if key in keys:
                return key
        return keys[0] if len(keys) == 1 else None

    if isinstance(info.features, tfds.features.FeaturesDict):
        image_key = pick(tfds.features.Image, "image")
        label_key = pick(tfds.features.ClassLabel, "label")
        if image_key and (label_key or "label" in _object_features(info)):
            return image_key, label_key
        found = ", ".join(f"{key} ({type(value).__name__})" for key, value in info.features.items())
    else:
        found = type(info.features).__name__
    raise UserError(
        f"dataset {name!r} cannot be used: it needs an image and a class label (or objects with "
        f"labels), and has these features: {found}"
    )
