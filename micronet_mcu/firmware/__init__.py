"""From an int8 model to a firmware project, onto a board, and measured there."""

from micronet_mcu.firmware.export import RUNTIMES, Exported, export_firmware
from micronet_mcu.firmware.flash import flash
from micronet_mcu.firmware.platforms import PLATFORMS, Platform, find_platform
from micronet_mcu.firmware.serial_client import BoardClient, BoardError, open_port

__all__ = [
    "PLATFORMS",
    "RUNTIMES",
    "BoardClient",
    "BoardError",
    "Exported",
    "Platform",
    "export_firmware",
    "find_platform",
    "flash",
    "open_port",
]


def __dir__() -> list[str]:
    return list(__all__)
