"""The commands that READMEs and helps show: each is one that the script takes."""

import re
import shlex

import pytest
from absl import flags
from paths import ROOT
from script_runner import ScriptRunner

SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "distributions").glob("*/*.md"),
    *(ROOT / "tflm").rglob("*.md"),
    *ROOT.glob("micronet_*/cli/*.py"),
]


def shown(page):
    """The words of every `python scripts/...` command: a line of its own, or in back quotes."""
    text = re.sub(r"\\+\n\s*", " ", page.read_text(encoding="utf-8"))
    for line in re.findall(r"^\s+(python scripts/.*)$", text, re.MULTILINE):
        yield shlex.split(line.replace("\\\\", ""), comments=True)
    for quoted in re.findall(r"`(python scripts/[^`]*)`", text):
        yield shlex.split(quoted)


COMMANDS = [
    pytest.param(words[1:], id=f"{page.relative_to(ROOT)} {' '.join(words[1:])}"[:90])
    for page in sorted(PAGES)
    for words in shown(page)
]


@pytest.mark.parametrize("words", COMMANDS)
def test_the_script_takes_these_flags(words):
    name = re.fullmatch(r"scripts/(\w+)\.py", words[0])[1]
    assert name in SCRIPTS
    runner = ScriptRunner(name)
    try:
        given = [word for word in words[1:] if word.startswith("--")]
        unknown = [w for w in given if flag(w) not in set(flags.FLAGS) | {"help"}]
        assert not unknown, f"{words[0]} does not take {unknown}"
    finally:
        runner.close()


def flag(word: str) -> str:
    name = word[2:].split("=")[0]
    return name if name in flags.FLAGS else name.removeprefix("no")


def test_every_script_is_shown():
    assert len(COMMANDS) > 30
    assert {param.values[0][0] for param in COMMANDS} == {f"scripts/{name}.py" for name in SCRIPTS}
