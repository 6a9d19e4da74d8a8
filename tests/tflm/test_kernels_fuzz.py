"""The kernels on random shapes and scales: sanitizers here, equal results on every board."""

import functools
import re
import subprocess

import kernel_library as k
import optional
import pytest
from paths import DATA, TFLM

from micronet_mcu import boards as board

FUZZER = DATA / "kernels" / "fuzz.c"
SOURCES = [FUZZER, *k.SOURCES]
HEADER = k.INCLUDE / "micronet_kernels.h"
DECODERS = [*TFLM.glob("detection/*.c"), *TFLM.glob("keypoints/*.c")]
FORMS = {
    "reference": ("gcc", "-DMICRONET_REFERENCE=1"),
    "dsp": ("gcc",),
    "cortex-m4": ("arm-none-eabi-gcc", "-mthumb", *board.find("cortex-m4").cpu_flags),
    "cortex-m55": ("arm-none-eabi-gcc", "-mthumb", *board.find("cortex-m55").cpu_flags),
}
CASES = 200
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]


@functools.cache
def host_output(folder, reference, cases, seed=1):
    program = folder / f"fuzz_{int(reference)}"
    if not program.exists():
        command = ["gcc", *k.WARNINGS, *SANITIZERS, f"-DMICRONET_REFERENCE={int(reference)}"]
        command += [f"-I{k.INCLUDE}", *map(str, SOURCES), "-o", str(program)]
        subprocess.run(command, check=True, timeout=120)
    done = subprocess.run(
        [program, str(cases), str(seed)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2026])
def test_clean_under_sanitizers_and_equal_to_the_reference(folder, seed):
    expected = host_output(folder, True, CASES, seed)
    assert len(expected.splitlines()) == 14
    assert host_output(folder, False, CASES, seed) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", board.BOARDS)
def test_a_board_computes_what_the_reference_does(folder, name):
    optional.require("arm-none-eabi-gcc", "qemu-system-arm")
    target = board.find(name)
    defines = ["ON_BOARD", f"FUZZ_CASES={CASES}"]
    elf = board.build(target, SOURCES, folder / name, include=[k.INCLUDE], defines=defines)
    run = board.run(target, elf)
    assert run.exit_code == 0, run.output
    assert run.output == host_output(folder, True, CASES)


@pytest.mark.parametrize("compiler", ["gcc", "g++", "clang"])
def test_header_compiles_without_warnings(compiler, tmp_path):
    optional.require(compiler)
    source = tmp_path / ("use.cpp" if compiler == "g++" else "use.c")
    source.write_text('#include "micronet_kernels.h"\nmicronet_conv_params p;\n')
    standard = "-std=c++11" if compiler == "g++" else "-std=c99"
    command = [compiler, standard, "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{k.INCLUDE}"]
    subprocess.run([*command, "-c", str(source), "-o", str(tmp_path / "use.o")], check=True)


@pytest.mark.slow
def test_kernels_call_nothing_but_memcpy_and_memset(tmp_path):
    """No allocation, no other libc, no state: what an object file asks the linker for."""
    allowed = re.compile(r"memcpy|memset|micronet_\w+")
    for source in k.SOURCES:
        path = tmp_path / "kernel.o"
        command = ["gcc", *k.WARNINGS, "-O2", "-fno-pic", f"-I{k.INCLUDE}"]
        command += ["-c", str(source), "-o", str(path)]
        subprocess.run(command, check=True)
        symbols = subprocess.run(
            ["nm", str(path)], capture_output=True, text=True, check=True
        ).stdout
        for kind, name in re.findall(r"^\S*\s+(\w) (\S+)$", symbols, re.MULTILINE):
            if kind == "U":
                assert allowed.fullmatch(name), f"{source.name} calls {name}"
            assert kind not in "bBdDC", f"{source.name} has a variable, {name}"


def test_the_fuzzer_calls_every_kernel():
    declared = re.findall(r"^\w+ (micronet_\w+)\(", HEADER.read_text(), re.MULTILINE)
    fuzzer = FUZZER.read_text()
    assert len(declared) > 20
    assert [name for name in declared if not re.search(rf"\b{name}\(", fuzzer)] == []


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_all_files_of_a_target_compile_as_one(form, reverse, tmp_path):
    """No two of them give one name to two things, and none leaves a macro behind."""
    compiler, *flags = FORMS[form]
    optional.require(compiler)
    sources = sorted([*k.SOURCES, *DECODERS], reverse=reverse)
    one = tmp_path / "one.c"
    one.write_text("".join(f'#include "{source}"\n' for source in sources))
    include = [f"-I{folder}" for folder in (k.INCLUDE, *{path.parent for path in DECODERS})]
    command = [compiler, *flags, *k.WARNINGS, "-O2", "-pedantic", *include, "-c", str(one)]
    subprocess.run([*command, "-o", str(tmp_path / "one.o")], check=True, timeout=120)


def test_every_macro_of_a_source_ends_with_it():
    for source in k.SOURCES:
        text = source.read_text()
        defined = set(re.findall(r"^ *#define (\w+)", text, re.MULTILINE))
        assert defined == set(re.findall(r"^ *#undef (\w+)", text, re.MULTILINE)), source
