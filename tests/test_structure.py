"""Rules about the sources that no import contract (pyproject.toml) can state."""

import ast
import re

from paths import ROOT

SOURCES = sorted(
    path for name in ("micronet_keras", "micronet_mcu") for path in (ROOT / name).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def imported(path):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_the_arm_tool_chain_is_known_to_the_boards_alone():
    names = re.compile(r"arm-none-eabi|qemu-system-arm|-mcpu=")
    knowing = {
        path.parent.name
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and names.search(str(node.value))
        # A command's help may say what to install.
        and node.value != ast.get_docstring(ast.parse(path.read_text()), clean=False)
    }
    assert knowing == {"boards"}


def test_no_test_imports_from_another():
    assert len(TESTS) > 50
    found = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in TESTS
        for module in imported(path)
        if module.split(".")[-1].startswith("test_") or module.split(".")[0] == "tests"
    }
    assert not found
