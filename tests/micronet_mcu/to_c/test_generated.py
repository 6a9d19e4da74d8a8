"""The C that a model becomes: by layer, for reading, and for programs with several models."""

import re
import subprocess

import pytest
from paths import DATA
from tiny_tflite import TinyModel, small_micronet

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_c import compile_model

M0 = DATA / "models" / "m0_96px.tflite"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")

_BOTH = """
#include "m0.h"
#include "tiny.h"
int main(void) { return 2 * (m0_selftest() != 0) + (tiny_selftest() != 0); }
"""


@pytest.fixture(scope="module")
def m0(tmp_path_factory):
    return compile_model(M0, tmp_path_factory.mktemp("m0") / "m0", name="m0")


@pytest.mark.slow
def test_two_models_link_into_one_program(m0, tmp_path):
    """With every file of the kernels once: those of one name are the same."""
    tiny = compile_model(small_micronet(), tmp_path / "tiny", name="tiny")
    files = {}
    for folder in (m0.folder, tiny.folder):
        for path in folder.glob("*.[ch]"):
            assert files.setdefault(path.name, path).read_bytes() == path.read_bytes()
    (tmp_path / "main.c").write_text(_BOTH)
    sources = [path for path in files.values() if path.suffix == ".c"]
    includes = [f"-I{m0.folder}", f"-I{tiny.folder}"]
    command = ["gcc", *STRICT, "-O1", *includes, "main.c", *sources, "-o", "both"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
    assert subprocess.run([tmp_path / "both"], check=False).returncode == 0


def test_a_model_exports_names_with_its_prefix_alone(m0, tmp_path):
    for file in ("m0.c", "m0_weights.c"):
        command = ["gcc", *STRICT, "-c", m0.folder / file, "-o", tmp_path / "m0.o"]
        subprocess.run(command, check=True, timeout=120)
        listing = subprocess.run(["nm", tmp_path / "m0.o"], capture_output=True, text=True)
        shared = re.findall(r"^\S+ [A-TV-Z] (\S+)$", listing.stdout, re.MULTILINE)
        assert shared and all(name.startswith("m0_") for name in shared)


def test_the_program_is_read_in_one_sitting(m0):
    text = (m0.folder / "m0.c").read_text()
    assert text.count("\n") < 600 and max(map(len, text.splitlines())) <= 100
    weights = (m0.folder / "m0_weights.h").read_text()
    # Every call stands below what it is of.
    for index, step in enumerate(m0.program.steps):
        start = text.index(f"M0_STEP({index});")
        part = " ".join(
            text[start : text.index(f"M0_STEP({index + 1});")].replace(" * ", "").split()
        )
        assert part.startswith(f"M0_STEP({index}); /* {step.name}: {step.operator}")
        assert f"{step.output.size} bytes" in part
        assert step.macs == 0 or f"{step.macs} MACs" in part
        assert f" {step.call.kernel.name}(" in part
    assert "micronet_conv2d_grouped_1x1(&m0_block3_squeeze, AT(BLOCK3_DEPTHWISE_ACTIVATION)" in text
    offset = m0.program.arena.offset(m0.program.steps[-1].output)
    assert f"  AT_LOGITS = {offset},\n" in weights


def test_the_header_states_shapes_and_scales(m0):
    text = (m0.folder / "m0.h").read_text()
    macros = dict(re.findall(r"^#define M0_(\w+) (\S+)$", text, re.MULTILINE))
    model = read_model(M0)
    image, scores = (model.tensors[ends[0]] for ends in (model.inputs, model.outputs))
    names = ("INPUT_HEIGHT", "INPUT_WIDTH", "INPUT_CHANNELS", "CLASSES", "OUTPUT_SIZE")
    assert [int(macros[name]) for name in names] == [96, 96, 3, 10, 10]
    assert float(macros["INPUT_SCALE"].rstrip("f")) == pytest.approx(image.scale[0], rel=1e-7)
    assert int(macros["OUTPUT_ZERO_POINT"].strip("()")) == scores.zero_point[0]


@pytest.mark.parametrize("name", ["micronet_kernels", "micronet_mean", "micronet_params"])
def test_a_model_may_not_be_called_as_a_file_of_the_kernels(name, tmp_path):
    with pytest.raises(UserError, match="is that of a kernel"):
        compile_model(small_micronet(), tmp_path / "c", name=name)


def _named(*names):
    """A model whose layers have these names."""
    m = TinyModel()
    y = m.input((1, 4, 4, 3))
    for name in names:
        y = m.conv(y, 3)
        m.tensors[y].name = name
    return m.build(y)


def test_any_layer_name_gives_c_that_compiles(tmp_path):
    """Names that are not C, that are the same, that functions have, that end comments."""
    names = ["a/b", "a b", "Ä*/ int x; /*", "input", "output", "selftest_output", "a/b/scratch",
             "NULL", "7", "x" * 300]  # fmt: skip
    compiled = compile_model(_named(*names), tmp_path / "c", name="tiny")
    sources = sorted(compiled.folder.glob("*.c"))
    command = ["gcc", *STRICT, "-c", *sources]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
