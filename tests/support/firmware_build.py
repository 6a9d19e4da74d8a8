"""Builds the firmware's C and C++ on this machine, for the tests."""

import os
import shutil
import subprocess
from pathlib import Path

from paths import DATA, ROOT

TFLM = ROOT / "tflm"
STUBS = DATA / "firmware"
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-Wall", "-Wextra", "-Werror")
# The rules of the firmware.
FIRMWARE = ("-std=c++17", "-fno-exceptions", "-fno-rtti")


def compilers() -> tuple[str, str]:
    """The C and the C++ compiler: CC and CXX, or what there is."""
    found = []
    for variable, names in (("CC", ("gcc", "cc", "clang")), ("CXX", ("g++", "c++", "clang++"))):
        name = os.environ.get(variable) or next((n for n in names if shutil.which(n)), None)
        assert name, f"no compiler: {', '.join(names)}"
        found.append(name)
    return found[0], found[1]


def build(output: Path, sources, include=(), flags=SANITIZE, link=()) -> Path:
    """Compiles C and C++ sources and links them."""
    c, cxx = compilers()
    objects = []
    for source in map(Path, sources):
        is_c = source.suffix == ".c"
        objects.append(output.with_name(f"{output.name}_{len(objects)}_{source.stem}.o"))
        run(
            [c if is_c else cxx, *(("-std=c99",) if is_c else FIRMWARE), "-O1", "-g", *WARNINGS,
             *flags, *(f"-I{path}" for path in include), "-c", str(source), "-o", str(objects[-1])]
        )  # fmt: skip
    run([cxx, *flags, *map(str, objects), *link, "-o", str(output)])
    return output


def check_syntax(source: Path, include, flags=()) -> None:
    """Compiles without writing anything."""
    c, cxx = compilers()
    is_c = source.suffix == ".c"
    standard = ("-std=c99",) if is_c else FIRMWARE
    run([c if is_c else cxx, *standard, *WARNINGS, *flags, *(f"-I{path}" for path in include),
         "-fsyntax-only", str(source)])  # fmt: skip


def run(command) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr[:3000]}"
