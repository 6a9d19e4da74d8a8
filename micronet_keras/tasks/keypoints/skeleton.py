"""The 17 keypoints of COCO: names, left and right, and how exactly each can be told."""

import numpy as np

from micronet_keras.data.figures import KEYPOINT_NAMES as _NAMES

KEYPOINT_NAMES = _NAMES["person"]
KEYPOINT_COUNT = len(KEYPOINT_NAMES)


def _mirrored(name: str) -> str:
    side, _, part = name.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, name)


# Keypoint i of a mirrored person is keypoint MIRRORED[i] of the person.
MIRRORED = np.array([KEYPOINT_NAMES.index(_mirrored(name)) for name in KEYPOINT_NAMES])

# The first of the two halves of half-body augmentation: head and arms.
UPPER_BODY = np.array(
    [name.split("_")[-1] not in ("hip", "knee", "ankle") for name in KEYPOINT_NAMES]
)

# How far annotators disagree, as a share of the square root of a person's area: COCO's constants
# for object keypoint similarity (OKS).
SIGMAS = np.array(
    [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
     0.087, 0.087, 0.089, 0.089]
)  # fmt: skip

# Pairs of keypoints to join in pictures.
BONES = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
    (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip
