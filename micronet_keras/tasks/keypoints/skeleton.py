"""The 17 keypoints of COCO's persons, and which keypoints a dataset has."""

import dataclasses

from micronet_keras.data import Source
from micronet_keras.data.figures import KEYPOINT_NAMES
from micronet_keras.data.skeleton import DEFAULT_SIGMA, Skeleton, make_skeleton

_NAMES = KEYPOINT_NAMES["person"]

COCO_PERSON = dataclasses.replace(
    make_skeleton("person", _NAMES),
    # COCO's constants for object keypoint similarity (OKS).
    sigmas=(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107,
            0.107, 0.087, 0.087, 0.089, 0.089),
    bones=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
        (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    # Head and arms.
    upper=tuple(name.split("_")[-1] not in ("hip", "knee", "ankle") for name in _NAMES),
)  # fmt: skip


def skeleton_of(source: Source) -> Skeleton:
    """The keypoints of a dataset: its own, or COCO's where it says none or the same.

    The label is spelled as the dataset does it.
    """
    names = source.object_class_names
    own = source.skeleton
    if own is None:
        label = next((name for name in names if name.casefold() == "person"), "person")
        return dataclasses.replace(COCO_PERSON, label=label)
    if own.names == COCO_PERSON.names and set(own.sigmas) == {DEFAULT_SIGMA}:
        return dataclasses.replace(COCO_PERSON, label=own.label, mirrored=own.mirrored)
    return own
