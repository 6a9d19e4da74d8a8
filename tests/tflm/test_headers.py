"""Headers of the firmware: each can be included alone, and twice; none includes itself."""

import graphlib
import re
import subprocess

import kernel_library as k
import optional
import pytest
from paths import TFLM

# micronet/ and platforms/ are C++ and include TFLM; exporting compiles them.
C_HEADERS = [
    header
    for folder in ("kernels", "detection", "keypoints")
    for header in sorted((TFLM / folder).rglob("*.h"))
]
ALL = {header.name: header for header in sorted(TFLM.rglob("*.h"))}


def test_no_header_includes_itself_by_way_of_others():
    included = {
        name: set(re.findall(r'#include "([^"/]+)"', header.read_text())) & set(ALL)
        for name, header in ALL.items()
    }
    assert sum(map(len, included.values())) > 10
    graphlib.TopologicalSorter(included).prepare()  # raises CycleError


@pytest.mark.parametrize("header", C_HEADERS, ids=lambda path: path.name)
def test_a_header_stands_alone(header, tmp_path):
    optional.require("gcc")
    source = tmp_path / "alone.c"
    source.write_text(f'#include "{header.name}"\n' * 2 + "typedef int not_empty;\n")
    include = [f"-I{header.parent}", f"-I{k.INCLUDE}"]
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *include, source]
    subprocess.run(command, check=True)
