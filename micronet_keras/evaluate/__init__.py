"""What a model answers, in float and on TensorFlow Lite Micro, and how the answers compare."""

from typing import TYPE_CHECKING

from micronet_keras.evaluate.compare import (
    accuracy,
    agreement,
    confusion_matrix,
    signal_to_noise,
)
from micronet_keras.evaluate.tflm import TFLMInterpreter, measure_arena

if TYPE_CHECKING:
    from micronet_keras.evaluate.classification import Comparison, compare_classifiers
    from micronet_keras.evaluate.plot import plot_confusion

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


def __getattr__(name: str):
    # These need Keras and matplotlib, which take seconds to import; firmware needs neither.
    if name in ("Comparison", "compare_classifiers"):
        from micronet_keras.evaluate import classification as module
    elif name == "plot_confusion":
        from micronet_keras.evaluate import plot as module
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)
