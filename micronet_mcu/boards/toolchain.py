"""Cross compiling for the emulated boards, and what a program takes of flash and SRAM."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from micronet_mcu.boards.boards import Board
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing

SUPPORT = Path(__file__).parent / "support"

_COMPILER = "arm-none-eabi-gcc"
_INSTALL = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
# What counting on emulated boards needs, and how to get it on Debian.
PROGRAMS = {_COMPILER: _INSTALL, "qemu-system-arm": "apt-get install qemu-system-arm"}
_WARNINGS = ("-Wall", "-Wextra", "-Werror")
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Footprint:
    """Bytes of a program, the board's own start-up and measuring code left out.

    Attributes:
        code: instructions, in flash.
        constants: weights and tables, in flash, and the initial values of variables.
        variables: static SRAM (the arena is in it); the stack is not.
    """

    code: int
    constants: int
    variables: int


def build(
    board: Board,
    sources: Iterable[str | Path],
    output: str | Path,
    *,
    include: Iterable[str | Path] = (),
    defines: Iterable[str] = (),
    flags: Iterable[str] = ("-O2",),
    stack_bytes: int = 16384,
) -> Path:
    """Compiles C sources and links them with the board's start-up code.

    Args:
        board: where the program shall run.
        sources: C files; one of them defines `int main(void)`. They may include "board.h".
        output: the ELF file to be written.
        include: folders for `#include`.
        defines: macros, as "NAME" or "NAME=VALUE".
        flags: further options of the compiler.
        stack_bytes: room for the stack.

    Returns:
        The path of the ELF file.

    Raises:
        UserError: the compiler is missing, or the sources do not compile (the message has the
            compiler's first error).

    Example:

    >>> from micronet_mcu.boards import find
    >>> build(find("cortex-m4"), ["main.c"], "main.elf")
    PosixPath('main.elf')
    """
    common = _common(board)
    what = f"compile for {board.name}"
    with tempfile.TemporaryDirectory() as folder, replacing(output) as temporary:
        script = Path(folder) / "board.ld"
        script.write_text(_linker_script(board, stack_bytes))
        # A file of its own, by whose name the linker script tells it from the measured program.
        support = Path(folder) / "board_support.o"
        ticks = f"-DBOARD_TICKS_PER_1000_INSTRUCTIONS={board.ticks_per_1000_instructions}"
        _check(
            [
                *common,
                "-O2",
                "-fno-tree-loop-distribute-patterns",
                ticks,
                "-c",
                str(SUPPORT / "board.c"),
                "-o",
                str(support),
            ],
            what,
        )
        command = [
            *common, *flags,
            *(f"-I{path}" for path in include),
            *(f"-D{define}" for define in defines),
            *map(str, sources), str(support),
            "-nostartfiles", "--specs=nano.specs", f"-T{script}",
            "-Wl,--gc-sections,--no-warn-rwx-segments", "-o", str(temporary),
        ]  # fmt: skip
        _check(command, what)
    return Path(output)


def footprint(elf: str | Path) -> Footprint:
    """Returns what a program made by `build` takes.

    Raises:
        UserError: the file is no ELF file.
    """
    listing = _check([_program("arm-none-eabi-size"), "-A", "-d", str(elf)], f"read {elf}")
    size = {name: int(n) for name, n in re.findall(r"^(\.\w+)\s+(\d+)", listing, re.MULTILINE)}
    return Footprint(
        code=size.get(".text", 0),
        constants=size.get(".rodata", 0) + size.get(".data", 0),
        variables=size.get(".data", 0) + size.get(".bss", 0),
    )


def symbol_sizes(elf: str | Path) -> dict[str, int]:
    """Returns the size in bytes of every function and variable in an ELF file.

    Raises:
        UserError: the file is no ELF file.
    """
    command = [_program("arm-none-eabi-nm"), "--print-size", "--defined-only", str(elf)]
    rows = (line.split() for line in _check(command, f"read {elf}").splitlines())
    return {row[3]: int(row[1], 16) for row in rows if len(row) == 4}


@dataclass(frozen=True)
class Function:
    """A function of an object file; `size` in bytes."""

    name: str
    size: int


def functions(
    board: Board,
    source: str | Path,
    *,
    include: Iterable[str | Path] = (),
    flags: Iterable[str] = ("-O2",),
) -> list[Function]:
    """Compiles one C file and returns its functions, static ones too.

    Raises:
        UserError: as `build`.
    """
    what = f"compile for {board.name}"
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "file.o"
        command = [*_common(board), *flags, *(f"-I{path}" for path in include)]
        _check([*command, "-c", str(source), "-o", str(compiled)], what)
        listing = _check([_program("arm-none-eabi-nm"), "--print-size", str(compiled)], what)
    rows = [line.split() for line in listing.splitlines()]
    return [Function(r[3], int(r[1], 16)) for r in rows if len(r) == 4 and r[2] in "tT"]


def _common(board: Board) -> list[str]:
    command = [_program(_COMPILER), "-mthumb", *board.cpu_flags, "-std=gnu99", *_WARNINGS]
    return [*command, f"-I{SUPPORT}", "-ffunction-sections", "-fdata-sections"]


def _linker_script(board: Board, stack_bytes: int) -> str:
    regions = {name: getattr(board, name) for name in ("vectors", "code", "constants", "ram")}
    memory = "\n".join(
        f"  {name} : ORIGIN = {region.origin:#x}, LENGTH = {region.length:#x}"
        for name, region in regions.items()
    )
    template = (SUPPORT / "board.ld.in").read_text()
    return template.replace("@MEMORY@", memory).replace("@STACK@", str(stack_bytes))


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise UserError(f"{name} is not installed; on Debian: {_INSTALL}")
    return path


def _check(command: list[str], what: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"cannot {what}: {command[0]} took longer than {_TIMEOUT_S} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        first = re.compile("error:|undefined reference")
        telling = next(filter(first.search, lines), lines[0])
        raise UserError(f"cannot {what}: {telling}")
    return done.stdout
