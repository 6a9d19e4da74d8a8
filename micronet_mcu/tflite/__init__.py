"""Reads and rewrites `.tflite` files; the only place that knows flatbuffers."""

from micronet_mcu.tflite.model import Model, Operator, Tensor
from micronet_mcu.tflite.reader import parse_model

__all__ = ["Model", "Operator", "Tensor", "parse_model"]
