"""The Python of READMEs and docstrings is run, each example by itself, in an empty folder.

What an example may use without making it is in support/example_names.py. An example ends with
what it shows: what it prints is compared.
"""

import ast
import contextlib
import doctest
import importlib
import io
import re
from pathlib import Path

import example_names
import optional
import pytest
from eager import eagerly
from paths import ROOT

# Why an example is not run: it needs what no machine of the tests has, or takes too long.
NOT_RUN = {
    "micronet_keras.benchmark.backbones.compare_backbones": "two trainings, half an hour",
    "micronet_keras.benchmark.runner.Runner": "minutes of training",
    "micronet_keras.distribution.joining.joined": "another process",
    "micronet_keras.models.pytorch.load_pytorch_checkpoint": "the authors' file, by download",
    "micronet_keras.tasks.keypoints.coco.CocoKeypoints": "COCO's files, by download",
    "micronet_mcu.firmware.serial_client.BoardClient": "a board at a serial port",
}
SLOW = {
    "README.md",
    "micronet_keras.quantize.keras_qat.NativeQuantizeAwareModel",
    "micronet_keras.benchmark.keypoint_baseline.MobileNetV3SmallKeypoints",
    "micronet_keras.compare.compare",
    "micronet_keras.data.notebook.fit_arguments",
    "micronet_keras.deploy.deploy",
    "micronet_keras.deploy.write_files",
    "micronet_keras.quantize.qat.quantize_aware",
    "micronet_keras.quantize.quantize.quantize",
    "micronet_keras.quantize.debug.debug_quantization",
    "micronet_keras.report.report",
    "micronet_keras.tasks.transfer.transfer_weights",
    "micronet_keras.train.run.read_run",
    "micronet_keras.train.train.train",
    "micronet_mcu.boards.board_counts.benchmark",
    "micronet_mcu.firmware.flash.flash",
    "micronet_mcu.to_c.compiler.compile_model",
    "micronet_mcu.to_c.host_runner.HostRunner",
}
NEEDS = {
    "micronet_mcu.boards.board_counts.benchmark": ("arm-none-eabi-gcc", "qemu-system-arm"),
    "micronet_mcu.boards.emulator.run": ("arm-none-eabi-gcc", "qemu-system-arm"),
    "micronet_mcu.boards.toolchain.build": ("arm-none-eabi-gcc",),
}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

MODULES = sorted(
    path
    for package in ("micronet_keras", "micronet_mcu", "micronet_settings")
    for path in (ROOT / package).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "distributions").glob("*/*.md"),
        *(ROOT / "tflm").rglob("*.md"),
    )
    if "```python" in path.read_text(encoding="utf-8")
)


def docstrings():
    """(name, module, text of the examples) of every docstring with an example."""
    for path in MODULES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for name, text in _documented(ast.parse(path.read_text(encoding="utf-8")), module):
            if ">>> " in text:
                yield name, module, text


def _documented(node: ast.AST, name: str):
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        yield name, ast.get_docstring(node) or ""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from _documented(child, f"{name}.{child.name}")


def _mark(name: str):
    return pytest.mark.slow if name in SLOW else ()


DOCSTRINGS = [pytest.param(*found, id=found[0], marks=_mark(found[0])) for found in docstrings()]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_in(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


@pytest.mark.parametrize(("name", "module", "text"), DOCSTRINGS)
def test_docstring(name, module, text, here):
    if name in NOT_RUN:
        pytest.skip(f"needs {NOT_RUN[name]}")
    optional.require(*NEEDS.get(name, ()))
    examples = doctest.DocTestParser().get_examples(text)
    source = "".join(example.source for example in examples)
    own = vars(importlib.import_module(module))
    ready = example_names.prepare(here, text, names_in(source) - set(own))
    test = doctest.DocTest(examples, {**own, **ready}, name, None, None, text)
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    with eagerly():
        runner.run(test, out=report.write, clear_globs=False)
    assert runner.tries > 0
    assert "+SKIP" not in text
    if runner.failures:
        pytest.fail(report.getvalue(), pytrace=False)


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=_id, marks=_mark(_id)) for page in PAGES
             for _id in [page.relative_to(ROOT).as_posix()]]
)  # fmt: skip
def test_page(page, here):
    """The blocks of a page are one program, from top to bottom."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    namespace = example_names.prepare(here, text, names_in("\n".join(blocks)))
    if "images" in namespace:
        namespace["images"] = example_names.images(96)
    with eagerly(), contextlib.redirect_stdout(io.StringIO()):
        for block in blocks:
            exec(compile(block, str(page), "exec"), namespace)


def test_the_lists_name_what_is_there():
    there = {found[0] for found in docstrings()} | {
        page.relative_to(ROOT).as_posix() for page in PAGES
    }
    assert {*NOT_RUN, *SLOW, *NEEDS} <= there
    assert Path.cwd() == ROOT or len(there) > 50
