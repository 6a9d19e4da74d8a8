"""Runs compiled code on this machine: for the self-test's expected output and for comparisons."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from micronet_mcu.errors import UserError

_MAIN = """
#include <stdio.h>

#include "{name}.h"

int main(void) {{
  while (fread({name}_input(), {upper}_INPUT_SIZE, 1, stdin) == 1) {{
    if ({name}_invoke(NULL, NULL)) return 1;
    fwrite({name}_output(), {upper}_OUTPUT_SIZE, 1, stdout);
    fflush(stdout);
  }}
  return 0;
}}
"""
_TIMEOUT_S = 600


def run(sources: Path, name: str, inputs: np.ndarray, flags: tuple[str, ...] = ()) -> np.ndarray:
    """Builds a folder of compiled code with the machine's C compiler and runs it.

    Args:
        sources: the folder with the model's files and the kernels.
        name: of the model, the prefix of its symbols.
        inputs: int8 [N, input size].
        flags: further flags of the compiler.

    Returns:
        int8 [N, output size].

    Raises:
        UserError: there is no C compiler, or the code does not compile or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = build(sources, name, Path(folder), flags)
        inputs = np.ascontiguousarray(inputs, np.int8)
        output = _checked([str(program)], inputs.tobytes())
    return np.frombuffer(output, np.int8).reshape(len(inputs), -1)


def build(sources: Path, name: str, folder: Path, flags: tuple[str, ...] = ()) -> Path:
    """Builds a program that answers each input on its standard input with an output.

    Arguments as of `run`; the program is made in `folder`.
    """
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        raise UserError(
            "no C compiler (cc, gcc or clang) on this machine to compute the self-test with; "
            "install one, on Debian: apt-get install gcc"
        )
    main, program = folder / "main.c", folder / "main"
    main.write_text(_MAIN.format(name=name, upper=name.upper()))
    command = [compiler, "-std=c99", "-O1", *flags, f"-I{sources}", str(main),
               *map(str, sorted(Path(sources).glob("*.c"))), "-o", str(program)]  # fmt: skip
    _checked(command, b"")
    return program


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
