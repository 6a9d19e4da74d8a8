"""Emulated Cortex-M boards: building for them, running on them, counting instructions."""

from micronet_keras.board.boards import BOARDS, Board, find
from micronet_keras.board.emulator import Run, run
from micronet_keras.board.toolchain import SUPPORT, Footprint, build, footprint, symbol_sizes

__all__ = [
    "BOARDS",
    "SUPPORT",
    "Board",
    "Footprint",
    "Run",
    "build",
    "find",
    "footprint",
    "run",
    "symbol_sizes",
]
