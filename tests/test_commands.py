"""The commands that READMEs and helps show: each is one that the command line takes."""

import re
import shlex

import pytest
from absl import flags
from paths import ROOT
from script_runner import ScriptRunner

from micronet_cli.commands import COMMANDS

SCRIPTS = {path.stem for path in (ROOT / "scripts").glob("*.py")}
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "distributions").glob("*/*.md"),
    *(ROOT / "tflm").rglob("*.md"),
    *ROOT.glob("micronet_cli/*.py"),
]
FORMS = r"(?:python scripts/\w+\.py|micronet [a-z][a-z-]+)(?!\S)"


def shown(page):
    """The words of every command: a line of its own, or in back quotes."""
    text = re.sub(r"\\+\n\s*", " ", page.read_text(encoding="utf-8"))
    for line in re.findall(rf"^\s+({FORMS}.*)$", text, re.MULTILINE):
        yield shlex.split(line.replace("\\\\", ""), comments=True)
    for quoted in re.findall(rf"`({FORMS}[^`\n]*)`", text):
        yield shlex.split(quoted)


SHOWN = [
    pytest.param(words, id=f"{page.relative_to(ROOT)} {' '.join(words)}"[:90])
    for page in sorted(PAGES)
    for words in shown(page)
]


def file_of(words) -> str:
    """The module of a shown command."""
    if words[0] == "micronet":
        return COMMANDS[words[1]].file
    return re.fullmatch(r"scripts/(\w+)\.py", words[1])[1]


@pytest.mark.parametrize("words", SHOWN)
def test_the_command_takes_these_flags(words):
    runner = ScriptRunner(file_of(words))
    try:
        given = [word for word in words[2:] if word.startswith("--")]
        unknown = [w for w in given if flag(w) not in set(flags.FLAGS) | {"help"}]
        assert not unknown, f"{words[:2]} does not take {unknown}"
    finally:
        runner.close()


def flag(word: str) -> str:
    name = word[2:].split("=")[0]
    return name if name in flags.FLAGS else name.removeprefix("no")


def test_every_command_is_shown():
    assert len(SHOWN) > 30
    assert {file_of(param.values[0]) for param in SHOWN} == {c.file for c in COMMANDS.values()}


def test_a_script_for_every_command():
    assert {command.file for command in COMMANDS.values()} == SCRIPTS
