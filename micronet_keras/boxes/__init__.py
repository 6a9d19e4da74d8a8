"""Boxes of objects: their overlaps, and what a detector's raw outputs say about them."""

from micronet_keras.boxes.arithmetic import area, ciou, giou, iou, pairwise_iou
from micronet_keras.boxes.coders import (
    BACKGROUND,
    IGNORED,
    AnchorCoder,
    Coder,
    PointCoder,
    decode,
)
from micronet_mcu.decode.detection import Level

__all__ = [
    "BACKGROUND",
    "IGNORED",
    "AnchorCoder",
    "Coder",
    "Level",
    "PointCoder",
    "area",
    "ciou",
    "decode",
    "giou",
    "iou",
    "pairwise_iou",
]


def __dir__() -> list[str]:
    return list(__all__)
