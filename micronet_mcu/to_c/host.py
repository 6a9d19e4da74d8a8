"""Runs compiled code on this machine: for the self-test's expected output and for comparisons."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from micronet_mcu.errors import UserError
from micronet_mcu.to_c.program import End, Program

_MAIN = """
#include <stdio.h>

#include "{name}.h"

int main(void) {{
  while ({read}) {{
    if ({name}_invoke({nothing})) return 1;
    {write};
    fflush(stdout);
  }}
  return 0;
}}
"""
_TIMEOUT_S = 600


def run(
    sources: Path, name: str, program: Program, inputs: np.ndarray, flags: tuple[str, ...] = ()
) -> np.ndarray:
    """Builds a folder of compiled code with the machine's C compiler and runs it.

    Args:
        sources: the folder with the model's files and the kernels.
        name: of the model, the prefix of its symbols.
        program: what was compiled.
        inputs: int8 [N, size]: the bytes of all inputs, one behind the other.
        flags: further flags of the compiler.

    Returns:
        int8 [N, size]: the bytes of all outputs, one behind the other.

    Raises:
        UserError: there is no C compiler, or the code does not compile or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        executable = build(sources, name, program, Path(folder), flags)
        inputs = np.ascontiguousarray(inputs, np.int8)
        output = _checked([str(executable)], inputs.tobytes())
    return np.frombuffer(output, np.int8).reshape(len(inputs), -1)


def build(
    sources: Path, name: str, program: Program, folder: Path, flags: tuple[str, ...] = ()
) -> Path:
    """Builds an executable that answers inputs on its standard input with outputs.

    Arguments as of `run`; it is made in `folder`.
    """
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        raise UserError(
            "no C compiler (cc, gcc or clang) on this machine to compute the self-test with; "
            "install one, on Debian: apt-get install gcc"
        )
    main, executable = folder / "main.c", folder / "main"

    def each(function: str, end: End, stream: str) -> str:
        place, size = f"{name}_{end.name}()", f"{name.upper()}_{end.name.upper()}_SIZE"
        return f"{function}({place}, sizeof({end.ctype}) * {size}, 1, {stream})"

    read = " && ".join(f"{each('fread', end, 'stdin')} == 1" for end in program.inputs)
    write = ";\n    ".join(each("fwrite", end, "stdout") for end in program.outputs)
    text = _MAIN.format(name=name, read=read, write=write, nothing=program.no_arguments)
    main.write_text(text)
    command = [compiler, "-std=c99", "-O1", *flags, f"-I{sources}", str(main),
               *map(str, sorted(Path(sources).glob("*.c"))), "-o", str(executable)]  # fmt: skip
    _checked(command, b"")
    return executable


def _checked(command: list[str], data: bytes) -> bytes:
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{command[0]} took longer than {_TIMEOUT_S} s") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        telling = next((x for x in lines if "error" in x or "undefined" in x), "no message")
        raise UserError(f"{command[0]} failed with exit status {done.returncode}: {telling}")
    return done.stdout
