"""Counts what a compiled network costs on the emulated boards: instructions, SRAM, flash."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from micronet_mcu.boards import emulator, toolchain
from micronet_mcu.boards.boards import BOARDS, Board, find
from micronet_mcu.errors import UserError
from micronet_mcu.to_c.compiler import Compiled, compile_model

# The network as a program of its own; its self-test says whether the board computes as the host.
_MAIN = """
#include "board.h"
#include "model.h"

int main(void) {{
  const int wrong = {name}_selftest();
  const uint32_t stack = board_stack_used();
  count_begin();
  {name}_invoke(0, 0);
  const int64_t instructions = count_end();
  board_report("instructions", instructions);
  board_report("stack", stack);
  return wrong != 0;
}}
"""

# Step by step: model.c is included, so that its hook can be defined here.
_MAIN_STEPS = """
#include "board.h"

static int64_t counts[{steps}];
#define MODEL_STEP(index)                            \\
  do {{                                               \\
    if ((index) > 0) counts[(index) > 0 ? (index) - 1 : 0] = count_end(); \\
    if ((index) < {steps}) count_begin();             \\
  }} while (0)

#include "model.c"

int main(void) {{
  const int wrong = {name}_selftest();
  for (int i = 0; i < {steps}; ++i) board_report("step", counts[i]);
  return wrong != 0;
}}
"""


@dataclass(frozen=True)
class StepCost:
    """One step on a board.

    Attributes:
        op: the operator that it stands for; kernel: the C function.
        instructions: of the call.
        macs: multiply-accumulates.
        sram_bytes: of the arena, in use while it runs.
        flash_data_bytes: its weights and tables, those of earlier steps left out.
    """

    op: str
    kernel: str
    instructions: int
    macs: int
    sram_bytes: int
    flash_data_bytes: int


@dataclass(frozen=True)
class BoardCost:
    """A network on a board. `sram_bytes` is the arena, other variables and the deepest stack;
    `kernel_bytes` the size of every kernel's code, helpers inside its file left out."""

    instructions: int
    macs: int
    sram_bytes: int
    stack_bytes: int
    flash_code_bytes: int
    flash_data_bytes: int
    steps: list[StepCost]
    kernel_bytes: dict[str, int]


def count_on_board(
    compiled: Compiled, board: Board, flags: tuple[str, ...] = ("-O2",)
) -> BoardCost:
    """Builds, runs and counts a compiled network. The same numbers on every run.

    Raises:
        UserError: the cross compiler or QEMU is missing, the network does not fit on the board, or
            its outputs there differ from the host's.
    """
    program = compiled.program
    kernels = sorted(p for p in compiled.folder.glob("*.c") if p.name != "model.c")
    words = {"name": compiled.name, "steps": len(program.steps)}
    with tempfile.TemporaryDirectory() as folder:
        whole, elf = _run(board, folder, _MAIN.format(**words),
                          [*kernels, compiled.folder / "model.c"], compiled, flags)  # fmt: skip
        single, _ = _run(board, folder, _MAIN_STEPS.format(**words), kernels, compiled, flags)
        footprint = toolchain.footprint(elf)
        sizes = toolchain.symbol_sizes(elf)
    reports = dict(whole)
    steps = [
        StepCost(
            op=step.name,
            kernel=step.call.kernel.name,
            instructions=count,
            macs=step.macs,
            sram_bytes=program.arena.plan.in_use(i),
            flash_data_bytes=sum(sizes.get(n, 0) for n in compiled.source.step_constants[i]),
        )
        for i, (step, (_, count)) in enumerate(zip(program.steps, single, strict=True))
    ]
    return BoardCost(
        instructions=reports["instructions"],
        macs=sum(step.macs for step in steps),
        sram_bytes=footprint.variables + reports["stack"],
        stack_bytes=reports["stack"],
        flash_code_bytes=footprint.code,
        flash_data_bytes=footprint.constants,
        steps=steps,
        kernel_bytes={s.kernel: sizes.get(s.kernel, 0) for s in steps},
    )


def benchmark(
    model: str | os.PathLike[str] | bytes,
    names: Sequence[str] = tuple(BOARDS),
    *,
    fuse: bool = True,
) -> dict[str, BoardCost]:
    """Compiles a flatbuffer and counts what it costs on emulated boards.

    Args:
        model: a `.tflite` file or its bytes, as `compile_model` takes it.
        names: of the boards, keys of `BOARDS`.
        fuse: make one kernel call of every DY-ShiftMax.

    Returns:
        The cost by the board's name.

    Raises:
        UserError: as `compile_model` and `count_on_board`, or there is no such board.

    Example:

    >>> cost = benchmark("model.tflite", ["cortex-m4"])["cortex-m4"]
    >>> cost.instructions > cost.macs
    True
    """
    chosen = [find(name) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_model(model, Path(folder) / "c", fuse=fuse)
        return {
            board.name: count_on_board(compiled, board)
            for board in tqdm(chosen, unit="board", disable=None, leave=False)
        }


def _run(
    board: Board,
    folder: str,
    text: str,
    sources: Sequence[Path],
    compiled: Compiled,
    flags: Sequence[str],
) -> tuple[list[tuple[str, int]], Path]:
    main = Path(folder) / "main.c"
    main.write_text(text)
    elf = toolchain.build(
        board, [main, *sources], Path(folder) / "main.elf", include=[compiled.folder], flags=flags
    )
    done = emulator.run(board, elf)
    if done.exit_code:
        raise UserError(
            f"on {board.name} the network ends with status {done.exit_code}, its outputs are not "
            "the host's"
        )
    pairs = (line.split() for line in done.output.splitlines())
    return [(name, int(value)) for name, value in pairs], elf
