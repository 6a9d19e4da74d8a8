"""Emulated Cortex-M boards: building for them, running on them, counting instructions."""

from micronet_mcu.boards.board_counts import (
    Benchmark,
    BoardCost,
    StepCost,
    benchmark,
    count_on_board,
)
from micronet_mcu.boards.boards import BOARDS, USUAL, Board, find
from micronet_mcu.boards.devices import DEVICES, Device, Fit
from micronet_mcu.boards.emulator import Run, run
from micronet_mcu.boards.toolchain import SUPPORT, Footprint, build, footprint, symbol_sizes

__all__ = [
    "BOARDS",
    "DEVICES",
    "SUPPORT",
    "Benchmark",
    "USUAL",
    "Board",
    "BoardCost",
    "Device",
    "Fit",
    "Footprint",
    "Run",
    "StepCost",
    "benchmark",
    "build",
    "count_on_board",
    "find",
    "footprint",
    "run",
    "symbol_sizes",
]


def __dir__() -> list[str]:
    return list(__all__)
