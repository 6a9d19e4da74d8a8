"""Several accelerators and several processes, on Keras' and JAX's own distribution."""

from micronet_keras.distribution.joining import joined
from micronet_keras.distribution.spreading import (
    check_spread,
    copied_files,
    devices_in_use,
    process_count,
    process_index,
    spread_outputs,
)

__all__ = [
    "check_spread",
    "copied_files",
    "devices_in_use",
    "joined",
    "process_count",
    "process_index",
    "spread_outputs",
]


def __dir__() -> list[str]:
    return list(__all__)
