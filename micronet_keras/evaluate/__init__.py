"""What a model answers, in float and on TensorFlow Lite Micro, and how the answers compare."""

from micronet_keras.evaluate.classification import Comparison, compare_classifiers
from micronet_keras.evaluate.compare import (
    accuracy,
    agreement,
    confusion_matrix,
    signal_to_noise,
)
from micronet_keras.evaluate.plot import plot_confusion
from micronet_keras.evaluate.tflm import TFLMInterpreter, measure_arena

__all__ = [
    "Comparison",
    "TFLMInterpreter",
    "accuracy",
    "agreement",
    "compare_classifiers",
    "confusion_matrix",
    "measure_arena",
    "plot_confusion",
    "signal_to_noise",
]
