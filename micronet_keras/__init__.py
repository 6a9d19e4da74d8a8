"""MicroNet (ICCV 2021) in Keras, from images to an int8 model on a microcontroller."""

from micronet_keras import layers, models
from micronet_keras.models import (
    MicroNet,
    MicroNetM0,
    MicroNetM1,
    MicroNetM2,
    MicroNetM3,
    load_pytorch_checkpoint,
)

__all__ = [
    "MicroNet",
    "MicroNetM0",
    "MicroNetM1",
    "MicroNetM2",
    "MicroNetM3",
    "layers",
    "load_pytorch_checkpoint",
    "models",
]
