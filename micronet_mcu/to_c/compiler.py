"""From an int8 `.tflite` to a folder of plain C."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from micronet_mcu.c_sources import c_sources
from micronet_mcu.csource import check_prefix
from micronet_mcu.errors import UserError
from micronet_mcu.folders import Owner, check_folder, replacing_folder
from micronet_mcu.graph import passes
from micronet_mcu.graph.kernels import Kernel, files_of
from micronet_mcu.graph.read import graph_of, read_model
from micronet_mcu.graph.steps import steps_of
from micronet_mcu.shown import Shown, bytes_text, some_of
from micronet_mcu.tflite.model import Model
from micronet_mcu.to_c import emit, host
from micronet_mcu.to_c.memory import plan_arena
from micronet_mcu.to_c.picture import draw_plan
from micronet_mcu.to_c.program import Program, ends_of, kept_of
from micronet_mcu.to_c.report import plan_text

# The names of models are not known here; what has no marker is from before there were others.
OWNER = Owner("compile", ("model.[ch]", "micronet_*.[ch]", "plan.txt", "plan.png"))


@dataclass(frozen=True, eq=False, repr=False)
class Compiled(Shown):
    """What `compile_model` made.

    Attributes:
        program: the steps and the memory plan.
        folder: where the C lies.
        name: prefix of the symbols and of the model's files.
        source: the text of these files, and what is known of the constants in them.
    """

    program: Program
    folder: Path
    name: str
    source: emit.Source

    def facts(self) -> list[tuple[str, str]]:
        return [
            *self.program.facts(),
            ("flash", f"{bytes_text(self.source.constant_bytes)} of weights and tables"),
            (f"files in {self.folder}", some_of(sorted(self.source.files))),
        ]


def compile_model(
    source: Any,
    folder: str | os.PathLike,
    *,
    name: str = "model",
    fuse: bool = True,
    int8_ends: bool = False,
    force: bool = False,
    report: bool = False,
) -> Compiled:
    """Compiles an int8 flatbuffer to C99 without an interpreter or a heap.

    The folder gets <name>.h, <name>.c, <name>_weights.h, <name>_weights.c and the kernels that they
    call, and compiles by itself: `cc -std=c99 *.c`. Models of different names go into one program,
    with each file of the kernels once. Without DY-ShiftMax in the model, or with `fuse=False`, the
    code gives TF Lite Micro's results bit for bit; fused, DY-ShiftMax is rounded once instead of
    five times.

    Args:
        source: a `.tflite` file or its bytes, see `micronet_mcu.tflite.flatbuffer_bytes`; int8
            inside, its inputs and outputs int8, uint8 or float32, batch 1. In C they are of these
            types.
        folder: where to write; must not exist, unless `force`.
        name: of the files, and prefix of the C functions and, in capitals, of the macros.
        fuse: make one kernel call of every DY-ShiftMax.
        int8_ends: leave the QUANTIZE of inputs and the DEQUANTIZE (or QUANTIZE) of outputs to the
            caller, whose inputs and outputs are int8 then; the header has their scales.
        force: replace an existing folder that was compiled before; files in it that are somebody
            else's stay there.
        report: write the memory plan, too: plan.txt, and drawn plan.png.

    Raises:
        UserError: the file is no such model, an operator is not supported, the folder exists or
            cannot be written, or the machine has no C compiler (for the self-test).

    Example:

    >>> compiled = compile_model("model.tflite", "out/c")
    >>> compiled.program.arena.plan.size == compiled.program.arena.plan.lower_bound
    True
    """
    check_name(name)
    check_folder(folder, OWNER, force)
    model = read_model(source)
    origin = Path(source).name if isinstance(source, str | os.PathLike) else "a flatbuffer"
    program = plan(model, fuse=fuse, int8_ends=int8_ends, origin=origin)
    with replacing_folder(folder, OWNER, force) as temporary:
        written = _write(program, temporary, name)
        if report:
            (temporary / "plan.txt").write_text(plan_text(program) + "\n")
            draw_plan(program, temporary / "plan.png")
    return Compiled(program, Path(folder), name, written)


def plan(
    model: Model, *, fuse: bool = True, int8_ends: bool = False, origin: str = "a flatbuffer"
) -> Program:
    """The passes from the flatbuffer to placed steps, without writing anything; arguments as of
    `compile_model`."""
    ends: tuple[passes.Pass, ...] = (passes.bare_ends,) if int8_ends else ()
    inner = passes.FUSING if fuse else passes.EXACT
    graph = passes.run(graph_of(model), (*ends, *inner))
    steps, arena = plan_arena(graph, steps_of(graph))
    kept = kept_of(graph)
    inputs = ends_of(graph, "input", graph.inputs[: len(graph.inputs) - len(kept)])
    outputs = ends_of(graph, "output", graph.outputs[: len(graph.outputs) - len(kept)])
    return Program(origin, inputs, outputs, steps, arena, kept)


def _write(program: Program, folder: Path, name: str) -> emit.Source:
    copy_kernels({k for step in program.steps for k in step.call.kernels()}, folder)
    _write_files(emit.source(program, name, None), folder)
    noise = emit.selftest_input(program)
    expected = host.run(folder, name, program, noise[None])[0]
    source = emit.source(program, name, expected)
    _write_files(source, folder)
    return source


def _write_files(source: emit.Source, folder: Path) -> None:
    for file, text in source.files.items():
        (folder / file).write_text(text, encoding="utf-8")


def check_name(name: str) -> None:
    """Refuses names that are no C prefix, or that would hide files of the kernels."""
    check_prefix(name)
    kernels = {path.stem for path in c_sources("kernels").glob("*/*.[ch]")}
    if {name, f"{name}_weights"} & kernels:
        raise UserError(f"name {name!r} is that of a kernel; choose another, such as model")


def copy_kernels(kernels: Iterable[Kernel], folder: Path) -> None:
    """Copies the files of these kernels, of those that they call, and the headers, all into one
    folder: of a kernel that has files for several processors, each compiles to nothing on the
    others.

    Raises:
        UserError: the kernels' sources are not where the package was installed from.
    """
    sources = c_sources("kernels")
    for path in (*(sources / file for file in files_of(kernels)), *sources.glob("*/*.h")):
        shutil.copyfile(path, folder / flat_name(path))


def flat_name(file: str | Path) -> str:
    """dsp/micronet_add.c is micronet_add_dsp.c where all files lie in one folder."""
    path = Path(file)
    shared = path.suffix == ".h" or path.parent.name == "common"
    return path.name if shared else f"{path.stem}_{path.parent.name}{path.suffix}"
