"""The people of a dataset: found, checked, and handed over one by one with their images."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tqdm import tqdm

from micronet_keras import data
from micronet_keras.data.skeleton import Skeleton
from micronet_keras.tasks.keypoints.coco import CocoKeypoints
from micronet_keras.tasks.keypoints.skeleton import skeleton_of
from micronet_keras.tasks.task import Examples
from micronet_mcu.errors import UserError
from micronet_settings.training import ON_BAD

# A coordinate that no rounding explains.
_SURELY_PIXELS = 2.0


@dataclasses.dataclass(frozen=True)
class People(Examples):
    """The usable people of one split.

    Attributes:
        skeleton: their keypoints.
        usable: bool [images, most people of an image], which objects of an image are used.
        bad_records: one line for each record that is wrong, with what is wrong about it.
        unlabelled: people without a single labelled keypoint, which nothing can be learnt from and
            which are not wrong: COCO has many.
    """

    skeleton: Skeleton = dataclasses.field(repr=False, kw_only=True)
    usable: np.ndarray = dataclasses.field(repr=False, kw_only=True)
    bad_records: list[str] = dataclasses.field(repr=False, kw_only=True)
    unlabelled: int = dataclasses.field(kw_only=True)

    def records(self) -> tf.data.Dataset:
        """One record for each usable person, in order, images still encoded.

        Returns:
            tf.data.Dataset of dicts: `image` (string, the encoded file), `record` (string), `box`
            float32 [4] (left, top, right, bottom) and `keypoints` float32 [n, 3] (x, y,
            visibility), both relative to the image, and `area` float32 in pixels.
        """
        usable = tf.constant(self.usable)

        def one_by_one(number, record):
            objects = record["objects"]
            use = usable[number][: tf.shape(objects["area"])[0]]
            people = {
                "box": tf.gather(tf.boolean_mask(objects["bbox"], use), (1, 0, 3, 2), axis=1),
                "keypoints": tf.boolean_mask(objects["keypoints"], use),
                "area": tf.cast(tf.boolean_mask(objects["area"], use), tf.float32),
            }
            shared = {"image": record["image"], "record": record["record"]}
            return tf.data.Dataset.from_tensor_slices(people).map(lambda person: shared | person)

        images = self.source.raw(self.split).enumerate()
        images = images.filter(lambda number, record: tf.reduce_any(usable[number]))
        return images.flat_map(one_by_one)


def in_pixels(person: dict) -> dict:
    """A decoded record of `People.records` with box and keypoints in pixels from the corner."""
    height, width = tf.unstack(tf.cast(tf.shape(person["image"])[:2], tf.float32))
    return {
        **person,
        "box": person["box"] * tf.stack([width, height, width, height]),
        "keypoints": person["keypoints"] * tf.stack([width, height, 1.0]),
    }


def load_people(source: data.Source, split: str, on_bad_annotation: str = "skip") -> People:
    """Finds the people of a dataset and checks every record.

    Args:
        source: a dataset whose `objects` have `bbox`, `label` with a class "person", `keypoints`
            [17, 3] (x and y relative to the image, COCO's order and visibility) and `area` in
            pixels: "micronet_shapes/multi" (bundled), "coco_keypoints", or any of TFDS; or a folder
            with a skeleton of its own, and objects of its label.
        split: e.g. "train".
        on_bad_annotation: "skip" leaves bad records out and lists them, "error" refuses the
            dataset.

    Raises:
        UserError: no such split, no keypoints in it, no usable people, keypoints in pixels, or bad
            records that are refused.
        ValueError: `on_bad_annotation` is something else.

    Example:

    >>> print(load_people(scenes, "test").summary())
    figures, test: 2 examples
    """
    if on_bad_annotation not in ON_BAD:
        raise ValueError(
            f"on_bad_annotation must be one of {ON_BAD}. Received: {on_bad_annotation!r}"
        )
    records = source.raw(split)
    require_people(source)
    skeleton = skeleton_of(source)
    person = source.object_class_names.index(skeleton.label)

    bad = [*source.bad_records.get(split, ()), *_refused_when_prepared(source, split)]
    unlabelled, in_pixels, usable = 0, 0, []
    # The encoded images are read, but not decoded.
    columns = records.map(lambda record: (record["record"], record["objects"], record["image"]))
    total = source.splits[split]
    progress = tqdm(columns.as_numpy_iterator(), f"checking {split}", total, unit="image",
                    leave=False, delay=2)  # fmt: skip
    for record, objects, _ in progress:
        use = np.zeros(len(objects["area"]), bool)
        for i in range(len(use)):
            if objects["label"][i] != person or objects.get("is_crowd", use)[i]:
                continue
            keypoints = objects["keypoints"][i]
            problem = person_problem(objects["bbox"][i], keypoints, objects["area"][i])
            if problem:
                bad.append(f"{record.decode(errors='replace')} object {i}: {problem}")
                in_pixels += keypoints[:, :2].max() > _SURELY_PIXELS
            elif not (keypoints[:, 2] > 0).any():
                unlabelled += 1
            else:
                use[i] = True
        usable.append(use)
    if in_pixels * 2 > sum(map(len, usable)):
        raise UserError(
            f"dataset {source.name!r}, split {split!r}: the keypoints are in pixels; shares of the "
            "image, 0 to 1, are wanted: divide them by width and height"
        )
    if bad and on_bad_annotation == "error":
        raise UserError(
            f"dataset {source.name!r}, split {split!r} has {len(bad)} bad record(s): "
            + "; ".join(bad[:5])
            + "; mend or remove them, or skip bad records"
        )
    most = max((len(use) for use in usable), default=0)
    table = np.array([np.pad(use, (0, most - len(use))) for use in usable], bool)
    problems = _problems(unlabelled, bad)
    count = int(table.sum())
    if not count:
        raise UserError(f"{source.name}, {split}: there are no usable people; {problems}")
    return People(
        source,
        split,
        count,
        problems,
        skeleton=skeleton,
        usable=table,
        bad_records=bad,
        unlabelled=unlabelled,
    )


def _problems(unlabelled: int, bad: list[str]) -> str:
    parts = [f"{unlabelled} more people without labelled keypoints"] if unlabelled else []
    if bad:
        shown = "; ".join(bad[:5]) + ("; ..." if bad[5:] else "")
        parts.append(f"{len(bad)} bad record(s) skipped: {shown}")
    return "; ".join(parts)


def person_problem(box: np.ndarray, keypoints: np.ndarray, area: float) -> str | None:
    """What is wrong about a person, or None.

    Args:
        box: [4], relative (ymin, xmin, ymax, xmax).
        keypoints: [n, 3], relative (x, y) and visibility.
        area: in pixels.
    """
    if not (np.isfinite(box).all() and np.isfinite(keypoints).all() and np.isfinite(area)):
        return "a number is not finite"
    if box[2] <= box[0] or box[3] <= box[1]:
        return f"the box has no area: {np.round(box, 4).tolist()}"
    if box[2] <= 0 or box[3] <= 0 or box[0] >= 1 or box[1] >= 1:
        return f"the box is outside the image: {np.round(box, 4).tolist()}"
    if area <= 0:
        return f"the area is {area}"
    if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
        return f"visibility must be 0, 1 or 2: {keypoints[:, 2].tolist()}"
    labelled = keypoints[keypoints[:, 2] > 0, :2]
    if (labelled < 0).any() or (labelled > 1).any():
        return "a labelled keypoint is outside the image"
    return None


def require_people(source: data.Source) -> None:
    """Raises UserError when the records of a dataset have no people with keypoints."""
    objects = source.raw(next(iter(source.splits))).element_spec.get("objects")
    fields = objects if isinstance(objects, dict) else {}
    needed = {"bbox", "label", "keypoints", "area"}
    skeleton = skeleton_of(source)
    shape = (len(skeleton.names), 3)
    if not needed <= set(fields) or fields["keypoints"].shape[1:] != shape:
        raise UserError(
            f"dataset {source.name!r} has no keypoints: its objects need "
            f"{', '.join(sorted(needed))} with keypoints {list(shape)}; "
            f"use micronet_shapes/multi, {CocoKeypoints.name}, or a folder with COCO JSON"
        )
    if skeleton.label not in source.object_class_names:
        raise UserError(
            f"dataset {source.name!r} has no class {skeleton.label!r} among: "
            + ", ".join(source.object_class_names)
        )


def _refused_when_prepared(source: data.Source, split: str) -> list[str]:
    """The records that the builder of COCO could not even store."""
    if source.name.split("/")[0] != CocoKeypoints.name:
        return []
    options = {"data_dir": source.data_dir} if source.data_dir else {}
    return list((tfds.builder(source.name, **options).info.metadata or {}).get(split, []))
