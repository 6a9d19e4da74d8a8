"""The emulated boards: one for each core that the kernels have a form for, and the small ones."""

from dataclasses import dataclass, replace

from micronet_mcu.errors import UserError

# Nanoseconds of QEMU's virtual clock an instruction: 2 ** ICOUNT_SHIFT. At the boards' clocks an
# instruction then takes more than two SysTick ticks, which makes the counts exact.
ICOUNT_SHIFT = 7


@dataclass(frozen=True)
class Region:
    """A piece of a board's memory: `origin` and `length` in bytes."""

    origin: int
    length: int


@dataclass(frozen=True)
class Board:
    """A board that QEMU emulates.

    Attributes:
        name: what users call it.
        machine: QEMU's name.
        cpu_flags: options of arm-none-eabi-gcc.
        clock_hz: the clock that drives SysTick.
        vectors, code, constants, ram: where the linker puts what. `vectors` and `code` hold
            instructions, `constants` the weights; all three stand for flash.
    """

    name: str
    machine: str
    cpu_flags: tuple[str, ...]
    clock_hz: int
    vectors: Region
    code: Region
    constants: Region
    ram: Region

    @property
    def ticks_per_1000_instructions(self) -> int:
        nanoseconds = 1000 * 2**ICOUNT_SHIFT
        ticks, rest = divmod(nanoseconds * self.clock_hz, 10**9)
        assert rest == 0
        return ticks


_MB = 1024 * 1024

_CORTEX_M3 = Board(
    name="cortex-m3",
    machine="mps2-an385",
    cpu_flags=("-mcpu=cortex-m3", "-mfloat-abi=soft"),
    clock_hz=25_000_000,
    vectors=Region(0, 256),
    code=Region(256, 512 * 1024 - 256),
    constants=Region(512 * 1024, 3 * _MB + 512 * 1024),
    ram=Region(0x20000000, 4 * _MB),
)
BOARDS = {
    board.name: board
    for board in (
        Board(
            name="cortex-m4",
            machine="mps2-an386",
            cpu_flags=("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
            clock_hz=25_000_000,
            vectors=Region(0, 256),
            code=Region(256, 512 * 1024 - 256),
            constants=Region(512 * 1024, 3 * _MB + 512 * 1024),
            ram=Region(0x20000000, 4 * _MB),
        ),
        Board(
            name="cortex-m7",
            machine="mps2-an500",
            cpu_flags=("-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
            clock_hz=25_000_000,
            vectors=Region(0, 256),
            code=Region(256, 512 * 1024 - 256),
            constants=Region(512 * 1024, 3 * _MB + 512 * 1024),
            ram=Region(0x20000000, 4 * _MB),
        ),
        Board(
            name="cortex-m55",
            machine="mps3-an547",
            cpu_flags=("-mcpu=cortex-m55", "-mfpu=auto", "-mfloat-abi=hard"),
            clock_hz=32_000_000,
            vectors=Region(0, 256),
            code=Region(0x01000000, 2 * _MB),
            constants=Region(0x60000000, 16 * _MB),
            ram=Region(0x21000000, 4 * _MB),
        ),
        Board(
            name="cortex-m33",
            machine="mps2-an505",
            cpu_flags=("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
            clock_hz=20_000_000,
            vectors=Region(0x10000000, 256),
            code=Region(0x10000100, 512 * 1024 - 256),
            constants=Region(0x10080000, 3 * _MB + 512 * 1024),
            ram=Region(0x38000000, 4 * _MB),
        ),
        _CORTEX_M3,
        # QEMU has no board of this core with enough memory; a Cortex-M3 runs its instructions.
        replace(
            _CORTEX_M3,
            name="cortex-m0plus",
            cpu_flags=("-mcpu=cortex-m0plus", "-mfloat-abi=soft"),
        ),
    )
}
# What is counted unless others are named: each has kernels that are made for it.
USUAL = ("cortex-m4", "cortex-m7", "cortex-m55")


def find(name: str) -> Board:
    """Returns the board called `name`.

    Raises:
        UserError: there is none.
    """
    if name not in BOARDS:
        raise UserError(f"no board is called {name!r}; choose one of {', '.join(BOARDS)}")
    return BOARDS[name]
