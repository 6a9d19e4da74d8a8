"""From a network's int8 outputs to objects and keypoints, in whole numbers, as the C code does."""

from micronet_mcu.decode.detection import Detections, Int8Decoder, Level, Selection, suppress
from micronet_mcu.decode.detector_header import detector_header
from micronet_mcu.decode.keypoints import decode, decode_int8

__all__ = [
    "Detections",
    "Int8Decoder",
    "Level",
    "Selection",
    "decode",
    "decode_int8",
    "detector_header",
    "suppress",
]


def __dir__() -> list[str]:
    return list(__all__)
