"""What a model answers, in float and on TensorFlow Lite Micro, and how the answers compare."""

from micronet_keras.evaluate.compare import (
    accuracy,
    agreement,
    confusion_matrix,
    signal_to_noise,
)
from micronet_keras.evaluate.tflm import TFLMInterpreter, measure_arena

__all__ = [
    "TFLMInterpreter",
    "accuracy",
    "agreement",
    "confusion_matrix",
    "measure_arena",
    "signal_to_noise",
]
