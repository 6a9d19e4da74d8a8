"""Compiles an int8 .tflite to plain C: no interpreter, no heap, one static arena.

MODEL is an int8 .tflite file, or the folder of a run, whose RUN/int8/model.tflite it is. --out
(RUN/c, or out/c) gets <name>.h and <name>.c (the calls, layer by layer), <name>_weights.c, the
kernels that are called, plan.txt (the memory plan) and plan.png (the same drawn: bytes over
steps). The folder compiles by itself:

  cc -std=c99 -Wall -Wextra -c out/c/*.c

Dynamic Shift-Max is recognised and becomes one call; --nofuse compiles operator by operator, which
gives TensorFlow Lite Micro's results bit for bit. For two models in one program give each a --name
and a folder of its own, and link every file of the kernels once.

Examples:

  micronet compile out/shapes
  micronet compile model.tflite --out=out/c
"""

import tempfile
from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_cli.run_files import beside, flatbuffer_of, named_model
from micronet_mcu import boards as board
from micronet_mcu.errors import UserError
from micronet_mcu.folders import listing
from micronet_mcu.to_c.compiler import Compiled, compile_model
from micronet_mcu.to_c.report import plan_text

_MODEL = flags.DEFINE_string("model", None, "the same as MODEL")
_OUT = flags.DEFINE_string("out", None, "the folder to write; RUN/c, or out/c for a file")
_NAME = flags.DEFINE_string("name", "model", "of the files; prefix of C functions and macros")
_FUSE = flags.DEFINE_boolean("fuse", True, "make one call of every Dynamic Shift-Max")
_INT8_ENDS = flags.DEFINE_boolean(
    "int8_ends", False, "int8 inputs and outputs: the caller quantizes what the file has otherwise"
)
_FORCE = flags.DEFINE_boolean("force", False, "replace --out when this command wrote it")


def main(argv: list[str]) -> None:
    given = named_model(argv, _MODEL.value, "MODEL.tflite or RUN")
    out = beside(given, _OUT.value, "c", "out/c")
    compiled = compile_model(
        flatbuffer_of(given),
        out,
        name=_NAME.value,
        fuse=_FUSE.value,
        int8_ends=_INT8_ENDS.value,
        force=_FORCE.value,
        report=True,
    )
    print(plan_text(compiled.program))
    print(f"flash: {compiled.source.constant_bytes} bytes of weights and tables")
    print(f"       {_code(compiled)}")
    print(f"{out}: {listing(compiled.folder)}")


def _code(compiled: Compiled) -> str:
    """The size of the code on the smallest board, if there is a cross compiler to ask."""
    sources, name = sorted(compiled.folder.glob("*.c")), compiled.name
    nothing = compiled.program.no_arguments
    cortex_m4 = board.find("cortex-m4")
    with tempfile.TemporaryDirectory() as folder:
        main_c = Path(folder) / "main.c"
        main_c.write_text(
            f'#include "{name}.h"\nint main(void) {{ return {name}_invoke({nothing}); }}\n'
        )
        try:
            elf = board.build(
                cortex_m4, [main_c, *sources], Path(folder) / "main.elf", include=[compiled.folder]
            )
        except UserError as error:
            return f"code not measured: {error}"
        return f"{board.footprint(elf).code} bytes of code on a Cortex-M4"


def run() -> None:
    script.run(main, positional="MODEL")
