"""What a model answers, in float and on TensorFlow Lite Micro, and how the answers compare."""

from micronet_keras.evaluate.classification import Comparison, compare_classifiers
from micronet_keras.evaluate.compare import (
    accuracy,
    agreement,
    confusion_matrix,
    signal_to_noise,
)
from micronet_keras.evaluate.plot import plot_confusion

__all__ = [
    "Comparison",
    "accuracy",
    "agreement",
    "compare_classifiers",
    "confusion_matrix",
    "plot_confusion",
    "signal_to_noise",
]
