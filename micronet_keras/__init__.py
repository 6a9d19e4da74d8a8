"""MicroNet (ICCV 2021) in Keras, from images to an int8 model on a microcontroller."""

import importlib
import importlib.abc
import importlib.util
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


class _RegisterWithKeras(importlib.abc.MetaPathFinder):
    """Imports the layers right after Keras, however late that is imported.

    The compiler and the firmware tools need no Keras, whose import takes seconds; so this package
    does not import it. But Keras' `load_model` finds only layers that have been imported.
    """

    _looking = False

    def find_spec(self, name, path=None, target=None):
        if name != "keras" or self._looking:
            return None
        self._looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = False
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                execute(module)
                # Not where the layers are what imports Keras: they are on their way.
                if f"{__name__}.layers" not in sys.modules:
                    importlib.import_module(f"{__name__}.layers")

            spec.loader.exec_module = execute_and_register
        return spec


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
else:
    sys.meta_path.insert(0, _RegisterWithKeras())


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("layers", "models"):
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.models"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
