"""Strict compilers and two static analysers over the firmware's C and C++."""

import re
import subprocess

import firmware_build
import kernel_library as k
import optional
import pytest
from paths import ROOT, TFLM

from micronet_mcu.boards import find

STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wstrict-aliasing=2"]
STRICT += ["-Werror", "-O2", "-fsyntax-only"]
DECODERS = [TFLM / name / f"micronet_{name}.c" for name in ("detection", "keypoints")]
C_INCLUDE = [k.INCLUDE, TFLM / "detection", TFLM / "keypoints"]
CXX_INCLUDE = [TFLM / "micronet", k.INCLUDE, firmware_build.STUBS / "tflm_stub"]
# These include files that are generated for one model; the tests of the exported firmware compile
# them.
GENERATED = {"answer_classes.cc", "answer_objects.cc", "answer_points.cc", "firmware.cc",
             "micronet_runner.cc", "runtime_c.cc", "runtime_tflm.cc"}  # fmt: skip
CXX = sorted(p for p in (TFLM / "micronet").glob("*.cc") if p.name not in GENERATED)

# Every form of the kernels: by the compiler that its board's program is built with.
FORMS = {
    "reference": ["gcc", "-DMICRONET_REFERENCE=1"],
    "portable": ["gcc"],
    **{
        name: ["arm-none-eabi-gcc", "-mthumb", *find(name).cpu_flags]
        for name in ("cortex-m4", "cortex-m7", "cortex-m55")
    },
}


def complaints(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_kernels_and_decoders_convert_nothing_silently(form):
    compiler, *flags = FORMS[form]
    optional.require(compiler)
    include = [f"-I{folder}" for folder in C_INCLUDE]
    for source in [*k.SOURCES, *DECODERS]:
        command = [compiler, *flags, "-std=c99", *STRICT, *include, str(source)]
        assert not complaints(command)


@pytest.mark.slow
@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3"])
def test_clang_compiles_the_kernels_for_arm(level, board, tmp_path):
    """With a frame pointer, too, which takes a register from the kernels' assembly."""
    optional.require("clang", "arm-none-eabi-gcc")
    gcc = ["arm-none-eabi-gcc", "-E", "-x", "c", "-"]
    headers = subprocess.check_output(gcc, input="#include <string.h>", text=True)
    library = re.search(r'"(.+)/string\.h"', headers)[1]
    cpu = [flag for flag in find(board).cpu_flags if flag != "-mfpu=auto"]
    command = ["clang", "--target=arm-none-eabi", "-isystem", library, "-mthumb", *cpu,
               level, "-fno-omit-frame-pointer", "-ffreestanding", "-std=c99", "-Wall", "-Wextra",
               "-Werror", f"-I{k.INCLUDE}", "-c", "-o", str(tmp_path / "kernel.o")]  # fmt: skip
    for source in k.SOURCES:
        assert not complaints([*command, str(source)])


def test_the_firmware_converts_nothing_silently():
    optional.require("g++")
    include = [f"-I{folder}" for folder in CXX_INCLUDE]
    for source in CXX:
        command = ["g++", *firmware_build.FIRMWARE, *STRICT, *include, str(source)]
        assert not complaints(command)


def test_the_warnings_of_the_strict_build_are_there(tmp_path):
    """A conversion that must be found: the flags above are not ignored."""
    optional.require("gcc")
    source = tmp_path / "narrow.c"
    source.write_text("signed char f(int x);\nsigned char f(int x) { return x; }\n")
    assert "=conversion" in complaints(["gcc", *STRICT, str(source)])


@pytest.mark.slow
@pytest.mark.parametrize("source", [*k.SOURCES, *DECODERS, *CXX], ids=lambda path: path.name)
def test_clang_tidy_is_content(source):
    """Checks and exceptions, with their reasons, are in .clang-tidy."""
    optional.require("clang-tidy")
    is_c = source.suffix == ".c"
    standard = ["-std=c99"] if is_c else firmware_build.FIRMWARE
    include = [f"-I{folder}" for folder in (C_INCLUDE if is_c else CXX_INCLUDE)]
    command = ["clang-tidy", "--quiet", f"--config-file={ROOT / '.clang-tidy'}", str(source)]
    assert not complaints([*command, "--", *standard, *include])


@pytest.mark.slow
def test_cppcheck_is_content():
    """Exceptions, with their reasons, are in .cppcheck-suppressions."""
    optional.require("cppcheck")
    command = ["cppcheck", "--enable=warning,performance,portability", "--error-exitcode=1"]
    command += ["--quiet", f"--suppressions-list={ROOT / '.cppcheck-suppressions'}"]
    command += [f"-I{folder}" for folder in [*C_INCLUDE, TFLM / "micronet"]]
    folders = ("kernels", "detection", "keypoints", "micronet")
    assert not complaints([*command, *(str(TFLM / name) for name in folders)])
