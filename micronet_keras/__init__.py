"""MicroNet (ICCV 2021) in Keras, from images to an int8 model on a microcontroller."""

from micronet_keras import data, layers, losses, lower, metrics, models, quantize, tasks, train
from micronet_keras.compare import compare
from micronet_keras.deploy import deploy
from micronet_keras.models import (
    MicroNet,
    MicroNetM0,
    MicroNetM1,
    MicroNetM2,
    MicroNetM3,
    MicroNetObjectDetector,
    MicroNetPoseEstimator,
    load_pytorch_checkpoint,
    preprocess_input,
    profile,
)
from micronet_keras.quantize import (
    convert,
    debug_quantization,
    post_training_quantize,
    quantize_aware,
)
from micronet_keras.report import report
from micronet_mcu.version import __version__

__all__ = [
    "MicroNet",
    "MicroNetM0",
    "MicroNetM1",
    "MicroNetM2",
    "MicroNetM3",
    "MicroNetObjectDetector",
    "MicroNetPoseEstimator",
    "__version__",
    "compare",
    "convert",
    "data",
    "debug_quantization",
    "deploy",
    "layers",
    "load_pytorch_checkpoint",
    "losses",
    "lower",
    "metrics",
    "models",
    "post_training_quantize",
    "preprocess_input",
    "profile",
    "quantize",
    "quantize_aware",
    "report",
    "tasks",
    "train",
]


def __dir__() -> list[str]:
    return list(__all__)
