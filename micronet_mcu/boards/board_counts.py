"""Counts what a compiled network costs on the emulated boards: instructions, SRAM, flash."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from micronet_mcu.boards import emulator, toolchain
from micronet_mcu.boards.boards import BOARDS, USUAL, Board, find
from micronet_mcu.boards.devices import DEVICES, Device, Fit, fits_table
from micronet_mcu.errors import UserError
from micronet_mcu.graph.kernels import KERNELS, files_of
from micronet_mcu.shown import Shown, Table, bytes_text, some_of
from micronet_mcu.to_c.compiler import Compiled, compile_model, flat_name

# The network as a program of its own; its self-test says whether the board computes as the host.
_MAIN = """
#include "board.h"
#include "{name}.h"

int main(void) {{
  const int wrong = {name}_selftest();
  const uint32_t stack = board_stack_used();
  count_begin();
  {name}_invoke({nothing});
  const int64_t instructions = count_end();
  board_report("instructions", instructions);
  board_report("stack", stack);
  return wrong != 0;
}}
"""

# Step by step: the program is included, so that its hook can be defined here.
_MAIN_STEPS = """
#include "board.h"

static int64_t counts[{steps}];
#define {upper}_STEP(index)                           \\
  do {{                                               \\
    if ((index) > 0) counts[(index) > 0 ? (index) - 1 : 0] = count_end(); \\
    if ((index) < {steps}) count_begin();             \\
  }} while (0)

#include "{name}.c"

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
        op: the layer's name; operator: of the flatbuffer; kernel: the C function.
        instructions: of the call.
        macs: multiply-accumulates.
        sram_bytes: of the arena, in use while it runs.
        flash_data_bytes: its weights and tables, those of earlier steps left out.
    """

    op: str
    operator: str
    kernel: str
    instructions: int
    macs: int
    sram_bytes: int
    flash_data_bytes: int


@dataclass(frozen=True, repr=False)
class BoardCost(Shown):
    """A network on a board. `sram_bytes` is the arena, other variables and the deepest stack;
    `kernel_bytes` the size of every kernel's code: the function, its parts and the helpers in its
    files, which kernels in the same file may share."""

    instructions: int
    macs: int
    sram_bytes: int
    stack_bytes: int
    flash_code_bytes: int
    flash_data_bytes: int
    steps: list[StepCost]
    kernel_bytes: dict[str, int]

    def facts(self) -> list[tuple[str, str]]:
        each = self.instructions / max(self.macs, 1)
        return [
            ("instructions", f"{self.instructions:,}, {each:.2f} per multiply-accumulate"),
            ("SRAM", f"{bytes_text(self.sram_bytes)}, {self.stack_bytes:,} of them stack"),
            (
                "flash",
                f"{bytes_text(self.flash_code_bytes)} of code, "
                f"{bytes_text(self.flash_data_bytes)} of weights and tables",
            ),
        ]

    def tables(self) -> list[Table]:
        head = ("operator", "kernel", "instructions", "MACs", "SRAM", "data")
        rows = [
            (
                step.op,
                step.kernel.removeprefix("micronet_"),
                step.instructions,
                step.macs,
                step.sram_bytes,
                step.flash_data_bytes,
            )
            for step in self.steps
        ]
        return [Table(head, rows)]


class Benchmark(Mapping[str, BoardCost], Shown):
    """What a model costs on emulated boards, by their names, and which boards it fits on.

    Attributes:
        fits: the model on each of `micronet_mcu.boards.DEVICES`.
    """

    def __init__(self, costs: Mapping[str, BoardCost]):
        self._costs = dict(costs)
        self.fits = [self._fit(device) for device in DEVICES]

    def __getitem__(self, name: str) -> BoardCost:
        return self._costs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._costs)

    def __len__(self) -> int:
        return len(self._costs)

    def facts(self) -> list[tuple[str, str]]:
        boards = [fit.device.name for fit in self.fits if fit.fits]
        counted = [(f"on a {name}", f"{c.instructions:,} instructions") for name, c in self.items()]
        return [*counted, ("fits on", some_of(boards) or "none of the boards that are known")]

    def tables(self) -> list[Table]:
        return [fits_table(self.fits)]

    def _fit(self, device: Device) -> Fit:
        own = self._costs.get(device.core)
        costs = list(self._costs.values()) if own is None else [own]
        return Fit(
            device,
            max(cost.sram_bytes for cost in costs),
            max(cost.flash_code_bytes + cost.flash_data_bytes for cost in costs),
            None if own is None else own.instructions,
        )


def count_on_board(
    compiled: Compiled, board: Board, flags: tuple[str, ...] = ("-O2",)
) -> BoardCost:
    """Builds, runs and counts a compiled network. The same numbers on every run.

    Raises:
        UserError: the cross compiler or QEMU is missing, the network does not fit on the board, or
            its outputs there differ from the host's.
    """
    program = compiled.program
    kernels = sorted(p for p in compiled.folder.glob("*.c") if p.name != f"{compiled.name}.c")
    words = {"name": compiled.name, "upper": compiled.name.upper(), "steps": len(program.steps),
             "nothing": program.no_arguments}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        everything = [*kernels, compiled.folder / f"{compiled.name}.c"]
        run = partial(_run, board, Path(folder), compiled=compiled, flags=flags)
        whole, elf = run("whole", _MAIN.format(**words), everything)
        single, _ = run("steps", _MAIN_STEPS.format(**words), kernels)
        footprint = toolchain.footprint(elf)
        sizes = toolchain.symbol_sizes(elf)
    reports = dict(whole)
    steps = [
        StepCost(
            op=step.name,
            operator=step.operator,
            kernel=step.kernel.name,
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
        kernel_bytes=_kernel_bytes(compiled, board, flags),
    )


def _kernel_bytes(compiled: Compiled, board: Board, flags: tuple[str, ...]) -> dict[str, int]:
    used = {kernel for step in compiled.program.steps for kernel in step.call.kernels()}
    others = {row.name for row in KERNELS.values() if not row.part}
    sizes = {}
    for kernel in used:
        functions = [
            function
            for file in sorted(files_of([kernel]))
            for function in toolchain.functions(
                board, compiled.folder / flat_name(file), include=[compiled.folder], flags=flags
            )
        ]
        own = (f for f in functions if f.name == kernel.name or f.name not in others)
        sizes[kernel.name] = sum(function.size for function in own)
    return sizes


def benchmark(
    model: Any,
    names: str | Sequence[str] = USUAL,
    *,
    fuse: bool = True,
) -> Benchmark:
    """Compiles a flatbuffer, counts what it costs on emulated boards, and says where it fits.

    Args:
        model: a `.tflite` file or its bytes, as `compile_model` takes it.
        names: of the emulated boards, keys of `BOARDS`.
        fuse: make one kernel call of every DY-ShiftMax.

    Returns:
        The cost by the emulated board's name. It prints, in a notebook, too, as a table of boards
        that one can buy with what is left of their memory.

    Raises:
        UserError: as `compile_model` and `count_on_board`, or there is no such board.

    Example:

    >>> counted = benchmark("model.tflite", ["cortex-m4"])
    >>> counted["cortex-m4"].instructions > counted["cortex-m4"].macs
    True
    >>> [fit.device.name for fit in counted.fits if fit.fits][:1]
    ['Arduino Nano 33 BLE Sense']
    """
    chosen = [find(name) for name in ([names] if isinstance(names, str) else names)]
    if not chosen:
        raise UserError(f"name a board to count on; there are {', '.join(BOARDS)}")
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_model(model, Path(folder) / "c", fuse=fuse)
        return Benchmark(
            {
                board.name: count_on_board(compiled, board)
                for board in tqdm(chosen, unit="board", disable=None, leave=False)
            }
        )


def _run(
    board: Board,
    folder: Path,
    program: str,
    text: str,
    sources: Sequence[Path],
    compiled: Compiled,
    flags: Sequence[str],
) -> tuple[list[tuple[str, int]], Path]:
    main = folder / f"{program}.c"
    main.write_text(text)
    elf = toolchain.build(
        board, [main, *sources], main.with_suffix(".elf"), include=[compiled.folder], flags=flags
    )
    done = emulator.run(board, elf)
    if done.exit_code:
        raise UserError(
            f"on {board.name} the network ends with status {done.exit_code}, its outputs are not "
            "the host's"
        )
    pairs = (line.split() for line in done.output.splitlines())
    return [(name, int(value)) for name, value in pairs], elf
