"""The table of kernels and their structs against the C: layouts, files, who calls whom."""

import ctypes
import functools
import re
import subprocess

import kernel_library as k
import optional
import pytest

from micronet_mcu.boards import find
from micronet_mcu.graph import kernels, structs
from micronet_mcu.graph.kernels import KERNELS, files_of
from micronet_mcu.graph.params_header import params_header


def test_the_header_is_made_of_the_table():
    text = (k.INCLUDE / "micronet_params.h").read_text(encoding="utf-8")
    assert text == params_header(), "run python -m micronet_mcu.graph.params_header"


def layouts():
    """Struct -> (size, offset of each member), as ctypes has them."""
    every = [*structs.STRUCTS.values(), *(s.shape for s in structs.STRUCTS.values() if s.shape)]
    for struct in every:
        structure = structs.structure(struct)
        members = [name for name, *_ in structure._fields_]
        yield (
            struct.name,
            ctypes.sizeof(structure),
            {name: getattr(structure, name).offset for name in members},
        )


def test_c_lays_the_structs_out_as_the_table_says(tmp_path):
    lines, expected = [], []
    for name, size, offsets in layouts():
        lines.append(f'  printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {size}")
        for member, offset in offsets.items():
            lines.append(f'  printf("{name}.{member} %zu\\n", offsetof({name}, {member}));')
            expected.append(f"{name}.{member} {offset}")
    source = tmp_path / "layout.c"
    text = '#include <stddef.h>\n#include <stdio.h>\n\n#include "micronet_params.h"\n\n'
    source.write_text(text + "int main(void) {\n" + "\n".join(lines) + "\n  return 0;\n}\n")
    program = tmp_path / "layout"
    command = ["gcc", *k.WARNINGS, f"-I{k.INCLUDE}", str(source), "-o", str(program)]
    subprocess.run(command, check=True, timeout=60)
    found = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert found.splitlines() == expected and len(expected) > 100


def test_the_numbers_of_a_struct_take_the_same_bytes_on_a_board(tmp_path):
    """They travel as bytes: from this machine into a flatbuffer, and to a 32-bit board."""
    optional.require("arm-none-eabi-gcc")
    checks = [
        f"typedef char size_of_{name}[sizeof({name}) == {size} ? 1 : -1];\n"
        + "\n".join(
            f"typedef char at_{name}_{member}[offsetof({name}, {member}) == {offset} ? 1 : -1];"
            for member, offset in offsets.items()
        )
        for name, size, offsets in layouts()
        if not name.endswith("_params") or structs.STRUCTS[name].shape is None
    ]
    source = tmp_path / "layout.c"
    source.write_text('#include <stddef.h>\n#include "micronet_params.h"\n' + "\n".join(checks))
    flags = [*find("cortex-m4").cpu_flags, "-mthumb", *k.WARNINGS, f"-I{k.INCLUDE}"]
    command = ["arm-none-eabi-gcc", *flags, "-c", str(source), "-o", str(tmp_path / "layout.o")]
    subprocess.run(command, check=True, timeout=60)


FORMS = {
    "reference": ("gcc", "-DMICRONET_REFERENCE=1"),
    "dsp": ("gcc",),
    "helium": ("arm-none-eabi-gcc", "-mthumb", *find("cortex-m55").cpu_flags),
}


@functools.cache
def symbols(form, folder):
    """File below tflm/kernels -> (functions that it defines, functions that it calls)."""
    compiler, *flags = FORMS[form]
    optional.require(compiler)
    found = {}
    for source in k.SOURCES:
        path = folder / "kernel.o"
        command = [compiler, *flags, *k.WARNINGS, "-O2", f"-I{k.INCLUDE}", "-c", str(source)]
        subprocess.run([*command, "-o", str(path)], check=True, timeout=60)
        prefix = compiler.removesuffix("gcc")
        listing = subprocess.run([f"{prefix}nm", str(path)], capture_output=True, text=True)
        rows = [line.split()[-2:] for line in listing.stdout.splitlines()]
        own = {kind: {name for letter, name in rows if letter == kind} for kind in "TU"}
        ours = {name for name in own["U"] if name.startswith("micronet_")}
        found[str(source.relative_to(k.KERNELS))] = own["T"], ours
    return found


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_the_files_of_a_kernel_define_it_and_all_that_it_calls(form, tmp_path_factory):
    files = symbols(form, tmp_path_factory.getbasetemp())
    everything = set().union(*(defined for defined, _ in files.values()))
    assert everything <= set(KERNELS)
    for row in KERNELS.values():
        needed = files_of([row])
        assert needed <= set(files)
        if row.name not in everything:
            # A part that only another processor's form has.
            assert form not in {file.split("/")[0] for file in row.files} | {"common"}
            continue
        defined = set().union(*(files[file][0] for file in needed))
        called = set().union(*(files[file][1] for file in needed))
        assert row.name in defined and called <= defined


@pytest.mark.slow
def test_the_table_names_no_more_calls_than_there_are(tmp_path_factory):
    forms = [symbols(form, tmp_path_factory.getbasetemp()) for form in FORMS]
    for row in KERNELS.values():
        called = set().union(*(files[file][1] for files in forms for file in row.files))
        inside = set().union(*(files[file][0] for files in forms for file in row.files))
        assert set(row.calls) <= called | inside
        assert row.name not in row.calls


def test_custom_operators_have_parameters():
    for name in kernels.CUSTOM_OPS:
        rows = [row for row in KERNELS.values() if row.custom_op == name]
        assert rows and len({row.params.name for row in rows}) == 1
        assert rows[0].params.shape is not None


def test_the_kernels_that_may_refuse_are_those_that_return_a_status():
    headers = [k.INCLUDE / f"micronet_{name}.h" for name in ("kernels", "depthwise", "dyshiftmax")]
    text = "".join(header.read_text(encoding="utf-8") for header in headers)
    status = re.findall(r"^micronet_status (micronet_\w+)\(", text, re.MULTILINE)
    assert set(status) == {row.name for row in KERNELS.values() if row.refuses}
    assert len(status) == 10
