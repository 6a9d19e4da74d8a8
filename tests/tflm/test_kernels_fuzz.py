"""The kernels on random shapes and scales: sanitizers here, equal results on every board."""

import functools
import re
import subprocess

import kernel_library as k
import optional
import pytest
from paths import DATA

from micronet_mcu import boards as board

FUZZER = DATA / "kernels" / "fuzz.c"
SOURCES = [FUZZER, *k.SOURCES]
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
    assert len(expected.splitlines()) == 9
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
