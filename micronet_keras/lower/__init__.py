"""From a Keras model to the deployable graph."""

from micronet_keras.lower.graph import Graph
from micronet_keras.lower.lowering import check, lower, normalization_of, register_lowering
from micronet_keras.lower.trace import CannotLower, Obstacle, Trace, Value

__all__ = [
    "CannotLower",
    "Graph",
    "Obstacle",
    "Trace",
    "Value",
    "check",
    "lower",
    "normalization_of",
    "register_lowering",
]


def __dir__() -> list[str]:
    return list(__all__)
