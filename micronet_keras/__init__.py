"""MicroNet (ICCV 2021) in Keras, from images to an int8 model on a microcontroller."""

import importlib
import sys
from typing import TYPE_CHECKING

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

# The compiler and the firmware tools need no Keras, whose import takes seconds; so the models are
# imported when they are asked for. Where Keras is there already they are imported at once: its
# `load_model` finds only layers that have been.
if TYPE_CHECKING or "keras" in sys.modules:
    from micronet_keras import layers, models
    from micronet_keras.models import (
        MicroNet,
        MicroNetM0,
        MicroNetM1,
        MicroNetM2,
        MicroNetM3,
        load_pytorch_checkpoint,
    )


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("layers", "models"):
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.models"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
