"""Reads and rewrites `.tflite` files; the only place that knows flatbuffers."""

from micronet_mcu.tflite.model import Model, Operator, Tensor
from micronet_mcu.tflite.reader import flatbuffer_bytes, parse_model

__all__ = ["Model", "Operator", "Tensor", "flatbuffer_bytes", "parse_model"]


def __dir__() -> list[str]:
    return list(__all__)
