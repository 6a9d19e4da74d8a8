"""Boards that people have on their tables: their memory, and what runs as fast as they do."""

from __future__ import annotations

from dataclasses import dataclass

from micronet_mcu.shown import Table

_KB, _MB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Device:
    """A board one can buy.

    Attributes:
        name: what it is sold as.
        core: its processor; a key of `micronet_mcu.boards.BOARDS` where that one is emulated.
        clock_hz: the highest clock that its maker states.
        sram_bytes: of RAM on the chip, all of it together.
        flash_bytes: for programs, on the chip or beside it on the board.
    """

    name: str
    core: str
    clock_hz: int
    sram_bytes: int
    flash_bytes: int


# As the boards are sold; check yours. What wireless stacks and frameworks keep for themselves is
# not taken off.
DEVICES = (
    Device("Arduino Nano 33 BLE Sense", "cortex-m4", 64_000_000, 256 * _KB, 1 * _MB),
    Device("STM32 Nucleo-F401RE", "cortex-m4", 84_000_000, 96 * _KB, 512 * _KB),
    Device("STM32 Nucleo-F411RE", "cortex-m4", 100_000_000, 128 * _KB, 512 * _KB),
    Device("STM32 Nucleo-L4R5ZI", "cortex-m4", 120_000_000, 640 * _KB, 2 * _MB),
    Device("STM32F746 Discovery", "cortex-m7", 216_000_000, 320 * _KB, 1 * _MB),
    Device("Arduino Portenta H7", "cortex-m7", 480_000_000, 1 * _MB, 2 * _MB),
    Device("Teensy 4.1", "cortex-m7", 600_000_000, 1 * _MB, 8 * _MB),
    Device("STM32N6570 Discovery", "cortex-m55", 800_000_000, 4200 * _KB, 128 * _MB),
    Device("Raspberry Pi Pico", "cortex-m0plus", 133_000_000, 264 * _KB, 2 * _MB),
    Device("Raspberry Pi Pico 2", "cortex-m33", 150_000_000, 520 * _KB, 4 * _MB),
    Device("ESP32-S3-DevKitC-1 (N8)", "xtensa-lx7", 240_000_000, 512 * _KB, 8 * _MB),
)


@dataclass(frozen=True)
class Fit:
    """A compiled model beside a board's memory.

    Attributes:
        device: the board.
        sram_bytes: arena, other variables and stack; counted on the board's own processor where
            that is emulated, else the most of those that are.
        flash_bytes: code, weights and tables, likewise.
        instructions: of one inference; None where the processor is not emulated.
    """

    device: Device
    sram_bytes: int
    flash_bytes: int
    instructions: int | None

    @property
    def sram_left(self) -> int:
        """Bytes that are left for all else; negative: so many are missing."""
        return self.device.sram_bytes - self.sram_bytes

    @property
    def flash_left(self) -> int:
        """Bytes that are left for all else; negative: so many are missing."""
        return self.device.flash_bytes - self.flash_bytes

    @property
    def fits(self) -> bool:
        """Whether the model alone fits."""
        return self.sram_left >= 0 and self.flash_left >= 0

    @property
    def milliseconds(self) -> float | None:
        """Of an inference at one instruction a clock cycle: an estimate, not a measurement.

        Waiting for flash makes it slower; a Cortex-M7 and a Cortex-M55 can do two at a time."""
        if self.instructions is None:
            return None
        return 1000 * self.instructions / self.device.clock_hz

    @property
    def verdict(self) -> str:
        """ "fits", or what is missing."""
        short = {"SRAM": -self.sram_left, "flash": -self.flash_left}
        missing = [
            f"{count:,} bytes of {name} too few" for name, count in short.items() if count > 0
        ]
        return "; ".join(missing) or "fits"


def fits_table(fits: list[Fit]) -> Table:
    """A line a board."""
    head = ("board", "processor", "SRAM left", "flash left", "instructions", "ms, about", "")
    rows = [
        (
            fit.device.name,
            fit.device.core,
            fit.sram_left,
            fit.flash_left,
            fit.instructions,
            fit.milliseconds,
            fit.verdict,
        )
        for fit in fits
    ]
    return Table(head, rows, "does it fit?")
