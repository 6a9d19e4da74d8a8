"""From a Keras model to the deployable graph."""

from micronet_keras.lower.graph import Graph
from micronet_keras.lower.lowering import check, lower
from micronet_keras.lower.trace import Obstacle

__all__ = ["Graph", "Obstacle", "check", "lower"]
