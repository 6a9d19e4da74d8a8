"""From an int8 model to a firmware project, onto a board, and measured there."""

from micronet_keras.firmware.arena import measure_fused_arena
from micronet_keras.firmware.export import RUNTIMES, Exported, export_firmware
from micronet_keras.firmware.flash import flash
from micronet_keras.firmware.forms import FUSE, TUNE, Prepared, prepare_flatbuffer
from micronet_keras.firmware.platforms import PLATFORMS, Platform, find_platform
from micronet_keras.firmware.serial_client import BoardClient, BoardError, open_port

__all__ = [
    "FUSE",
    "PLATFORMS",
    "RUNTIMES",
    "TUNE",
    "BoardClient",
    "BoardError",
    "Exported",
    "Platform",
    "Prepared",
    "export_firmware",
    "find_platform",
    "flash",
    "measure_fused_arena",
    "open_port",
    "prepare_flatbuffer",
]
