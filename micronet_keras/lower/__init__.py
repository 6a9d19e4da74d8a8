"""From a Keras model to the deployable graph."""

from micronet_keras.lower.graph import Graph
from micronet_keras.lower.lowering import lower

__all__ = ["Graph", "lower"]
