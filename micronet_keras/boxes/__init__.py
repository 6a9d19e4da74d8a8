"""Boxes of objects: their overlaps, and what a detector's raw outputs say about them."""

from micronet_keras.boxes.arithmetic import area, ciou, giou, iou, pairwise_iou
from micronet_keras.boxes.coders import (
    BACKGROUND,
    IGNORED,
    AnchorCoder,
    Coder,
    PointCoder,
    class_count,
    coder_of,
    decode,
    pack,
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
    "class_count",
    "coder_of",
    "decode",
    "giou",
    "iou",
    "pack",
    "pairwise_iou",
]
