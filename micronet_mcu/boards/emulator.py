"""Running a program on an emulated board."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from micronet_mcu.boards.boards import ICOUNT_SHIFT, Board
from micronet_mcu.errors import UserError


@dataclass(frozen=True)
class Run:
    """What a program printed and returned."""

    output: str
    exit_code: int

    def reports(self) -> dict[str, int]:
        """The lines "name value" of the output, as `board_report` prints them."""
        pairs = (line.rsplit(" ", 1) for line in self.output.splitlines())
        return {
            pair[0]: int(pair[1])
            for pair in pairs
            if len(pair) == 2 and pair[1].lstrip("-").isdecimal()
        }


def run(board: Board, elf: str | Path, timeout_s: float = 120) -> Run:
    """Runs an ELF file made by `toolchain.build` until its `main` returns.

    Time on the board is counted in instructions, so two runs behave and count alike.

    Args:
        board: the board that it was built for.
        elf: the program.
        timeout_s: seconds on the host after which it is given up.

    Raises:
        UserError: QEMU is missing, the file is missing, or the program did not end in time.

    Example:

    >>> from micronet_mcu import boards
    >>> cortex_m4 = boards.find("cortex-m4")
    >>> run(cortex_m4, boards.build(cortex_m4, ["main.c"], "main.elf")).exit_code
    0
    """
    qemu = shutil.which("qemu-system-arm")
    if qemu is None:
        advice = "on Debian: apt-get install qemu-system-arm"
        raise UserError(f"qemu-system-arm is not installed; {advice}")
    if not Path(elf).is_file():
        raise UserError(f"there is no program {elf} to run")
    command = [
        qemu, "-M", board.machine, "-nographic", "-monitor", "none", "-serial", "null",
        "-semihosting-config", "enable=on,target=native", "-icount", f"shift={ICOUNT_SHIFT}",
        "-kernel", str(elf),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"{elf} did not end within {timeout_s:g} s on {board.name}; is it in a loop?"
        raise UserError(message) from error
    # SYS_WRITE0 goes to standard error in some versions of QEMU.
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    return Run(output=output, exit_code=done.returncode)
