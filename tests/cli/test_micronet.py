"""The command `micronet`: its list, its helps, what it hands over; hints in the caller's form."""

import subprocess
import sys

import pytest
from absl import flags
from paths import ROOT
from script_runner import ScriptRunner

from micronet_cli import commands, micronet, script
from micronet_cli.commands import COMMANDS


def called(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/micronet", *words])
    try:
        micronet.run()
    except SystemExit as end:
        return end.code or 0
    return 0


def test_the_list_has_every_command(monkeypatch, capsys):
    assert called(monkeypatch) == 0
    listed = capsys.readouterr().out
    for command in COMMANDS.values():
        assert f"  {command.name} " in listed and command.summary in listed


def test_what_is_not_installed_is_said(monkeypatch, capsys):
    monkeypatch.setattr(commands.importlib.util, "find_spec", lambda name: None)
    assert called(monkeypatch, "--help") == 0
    before, after = capsys.readouterr().out.split("After `pip install micronet-keras`:")
    assert "  compile " in before and "  train " not in before and "  train " in after
    assert called(monkeypatch, "train", "--help") == 2
    assert "error: train needs micronet-keras: pip install" in capsys.readouterr().err


def test_the_nearest_name(monkeypatch, capsys):
    assert called(monkeypatch, "quantise") == 2
    message = "error: there is no command 'quantise'; did you mean quantize\n"
    assert capsys.readouterr().err == message


ALL_HELPS = """
import sys, importlib
from absl import flags
from micronet_cli.commands import COMMANDS
for command in COMMANDS.values():
    module = importlib.import_module(f"micronet_cli.{command.file}")
    sys.argv = ["micronet", "--help"]
    try:
        module.run()
    except SystemExit as end:
        assert not end.code, command
    # Several commands define the same flags.
    for name, found in list(flags.FLAGS.flags_by_module_dict().items()):
        for flag in list(found) if name.startswith("micronet_cli") else ():
            delattr(flags.FLAGS, flag.name)
print(sorted({"tensorflow", "keras", "torch", "jax", "tensorflow_datasets"} & set(sys.modules)))
"""


def test_helps_are_complete_without_tensorflow():
    """Every command's, in one process that would show what one of them imports."""
    done = subprocess.run(
        [sys.executable, "-c", ALL_HELPS], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    *helps, imported = done.stdout.rstrip().split("\n")
    assert imported == "[]"
    text = "\n".join(helps)
    assert text.count("usage: micronet ") == len(COMMANDS)
    for name in ("--image_size=96", "--epochs=6", "--learning_rate=0.3", "--batch_size=32"):
        assert name in text


@pytest.fixture(scope="module")
def train():
    runner = ScriptRunner("train")
    yield runner
    runner.close()


def test_help_shows_the_chosen_preset(train, capsys):
    assert train("--preset=m3", "--help") == 0
    text = capsys.readouterr().out
    assert "--epochs=600" in text and "--batch_size=512" in text and "--mosaic" not in text
    assert train("--task=detection", "--help") == 0
    text = capsys.readouterr().out
    assert "--mosaic=0.0" in text and "--image_size=128" in text and "--min_scale" not in text


def test_flags_are_read_before_the_work(train, capsys):
    assert train("--epochs=many") == 2
    assert "--epochs=many" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "form"),
    [
        ("/usr/bin/micronet", "micronet quantize"),
        ("scripts/train.py", "python scripts/quantize.py"),
        ("/x/micronet_cli/__main__.py", "python -m micronet_cli quantize"),
    ],
)
def test_hints_name_the_command_as_it_was_called(train, monkeypatch, program, form):
    monkeypatch.setattr(sys, "argv", [program])
    assert script.command("quantize") == form
    message = "micronet quantize writes it; `force=True`, `epochs=3`, `flip=False` or `no_flag=1`"
    assert "epochs" in flags.FLAGS
    expected = f"{form} writes it; --force, --epochs=3, --noflip or `no_flag=1`"
    assert script.as_called(message) == expected


NOTES = """
import os, sys
from micronet_cli.quiet import without_notes
with without_notes():
    os.write(2, b"I0000 00:00:1796092025.805192   15448 port.cc:153] a note\\n")
    os.write(2, b"E0000 00:00:1796092025.805192   15448 x.cc:1] a real error\\n")
    print("ours", file=sys.stderr)
    os.write(2, b"the last words of")
    if "crash" in sys.argv:
        os.abort()
os.write(2, b"\\nW0000 00:00:1796092025.805192 1 x.cc:1] after it\\n")
"""


@pytest.mark.parametrize("crash", [False, True])
def test_native_notes_are_left_out_and_nothing_else(crash):
    done = subprocess.run(
        [sys.executable, "-c", NOTES, *(["crash"] if crash else [])],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert (done.returncode != 0) == crash
    assert "a note" not in done.stderr and "a real error\n" in done.stderr
    assert "ours\n" in done.stderr and "the last words of" in done.stderr
    assert ("after it" in done.stderr) != crash


def test_doctor(capsys):
    runner = ScriptRunner("doctor")
    try:
        assert runner() == 0
    finally:
        runner.close()
    text = capsys.readouterr().out
    for part in ("micronet-mcu\n", "optional packages\n", "arm-none-eabi-gcc", "arduino-cli"):
        assert part in text
