"""Keypoints of one kind of object: their names, left and right, and how exactly each is told."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from micronet_mcu.errors import UserError
from micronet_mcu.files import read_json

# Where nobody has measured how far annotators disagree: about the mean of COCO's constants.
DEFAULT_SIGMA = 0.06
_OTHER_SIDE = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "l": "r", "L": "R"}
_OTHER_SIDE |= {right: left for left, right in _OTHER_SIDE.items()}


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """The keypoints of a class of objects.

    Attributes:
        label: name of the class.
        names: of the keypoints, in their order.
        mirrored: keypoint i of a mirrored object is keypoint `mirrored[i]` of the object.
        sigmas: how far annotators disagree, as a share of the square root of an object's area:
            COCO's constants of the object keypoint similarity (OKS).
        bones: pairs of keypoints to join in pictures.
        upper: which keypoints are of the upper half, for crops of half a body; empty: no such
            crops.

    Raises:
        ValueError: the fields do not fit each other.
    """

    label: str
    names: tuple[str, ...]
    mirrored: tuple[int, ...]
    sigmas: tuple[float, ...]
    bones: tuple[tuple[int, int], ...] = ()
    upper: tuple[bool, ...] = ()

    def __post_init__(self):
        count = len(self.names)
        if not count or len(set(self.names)) < count:
            raise ValueError(f"keypoints must have names of their own. Received: {self.names}")
        if len(self.mirrored) != count or any(
            self.mirrored[other] != i for i, other in enumerate(self.mirrored)
        ):
            raise ValueError(f"keypoints must be mirrored in pairs. Received: {self.mirrored}")
        if len(self.sigmas) != count or not all(0 < sigma < 1 for sigma in self.sigmas):
            raise ValueError(
                f"there must be {count} sigmas, each above 0 and below 1. Received: {self.sigmas}"
            )
        if any(not 0 <= end < count for bone in self.bones for end in bone):
            raise ValueError(f"bones must join keypoints 0 to {count - 1}. Received: {self.bones}")


def make_skeleton(label: str, names: Sequence[str], more: Mapping[str, Any] = {}) -> Skeleton:  # noqa: B006
    """A skeleton from what is known of it.

    Args:
        label: name of the class.
        names: of the keypoints.
        more: any of `flip_pairs` (pairs of names; without, a keypoint with left or right, or a
            single l or r, in its name belongs to the one of the other side), `sigmas` (a number
            for each keypoint; `DEFAULT_SIGMA` without) and `bones` (pairs of names).

    Raises:
        ValueError: a name is unknown, or a field has another form.

    Example:

    >>> make_skeleton("hand", ["wrist", "left_tip", "right_tip"]).mirrored
    (0, 2, 1)
    """
    numbers = {name: number for number, name in enumerate(names)}

    def pairs(field: str) -> list[tuple[int, int]]:
        try:
            return [(numbers[a], numbers[b]) for a, b in more[field]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{field} must be pairs of names among {', '.join(names)}. "
                f"Received: {more[field]!r}"
            ) from error

    mirrored = list(range(len(names)))
    if "flip_pairs" in more:
        for one, other in pairs("flip_pairs"):
            mirrored[one], mirrored[other] = other, one
    else:
        mirrored = [numbers.get(_on_the_other_side(name), numbers[name]) for name in names]
    sigmas = more.get("sigmas", [DEFAULT_SIGMA] * len(names))
    if not isinstance(sigmas, list) or not all(isinstance(s, int | float) for s in sigmas):
        raise ValueError(f"sigmas must be a list of numbers. Received: {sigmas!r}")
    bones = pairs("bones") if "bones" in more else []
    return Skeleton(label, tuple(names), tuple(mirrored), tuple(map(float, sigmas)), tuple(bones))


def read_skeleton(path: Path) -> dict[str, Any]:
    """A small file with what an annotation file does not say: `more` of `make_skeleton`.

    It may hold `names`, too: the keypoints, where the annotations do not name them.

    Raises:
        UserError: it cannot be read, or has other fields.
    """
    advice = "it may hold names, flip_pairs, sigmas and bones"
    more = read_json(path, "a skeleton", advice=advice)
    unknown = set(more) - {"names", "flip_pairs", "sigmas", "bones"}
    if unknown or not all(isinstance(value, list) for value in more.values()):
        raise UserError(f"{path} is not a skeleton: {advice}, lists all of them")
    return more


def _on_the_other_side(name: str) -> str:
    def other(match: re.Match) -> str:
        return _OTHER_SIDE[match[0]]

    swapped = re.sub("left|right|Left|Right|LEFT|RIGHT", other, name)
    return swapped if swapped != name else re.sub("(?<![A-Za-z])[lrLR](?![A-Za-z])", other, name)
