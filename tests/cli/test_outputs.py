"""Outputs that cannot be: every command says so in one line, before it reads or works."""

import os
import socket

import pytest
from script_runner import ScriptRunner

# Of each command: what it is given (none of it is there), the flag of its output, and whether that
# is a folder that it writes into.
COMMANDS = {
    "benchmark_mcu": (["gone.tflite"], "--json", False),
    "compile": (["--model=gone.tflite"], "--out", False),
    "convert": (["--model=gone.npz"], "--out", False),
    "export_firmware": (["--platform=host", "--model=model"], "--output", False),
    "import_checkpoint": (["--model=m0", "--checkpoint=gone.pth"], "--output", False),
    "run_on_board": (["gone", "--port=/dev/gone"], "--json", False),
    "quantize": (["."], "--out", False),
    "train": (["--dataset=gone"], "--out", True),
    "demo": (["--data_dir=gone"], "--out", True),
    "compare_detectors": (["--dataset=gone"], "--out", True),
    "compare_quantization": (["--dataset=gone"], "--out", True),
}
REPLACING = ("compile", "convert", "export_firmware", "train")
WITH_FORCE = ("benchmark_mcu", *REPLACING)


@pytest.fixture(scope="module", params=COMMANDS)
def command(request):
    runner = ScriptRunner(request.param)
    yield request.param, runner
    runner.close()


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").write_bytes(b"")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "tree" / ".git").mkdir(parents=True)
    (tmp_path / "tree" / "work").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    return tmp_path


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in sorted(folder.rglob("*"))}


def test_impossible_outputs_are_one_line(command, place, capsys):
    name, run = command
    given, flag, inside = COMMANDS[name]
    before = contents(place)
    outputs = ["", "x" * 300, "a\0b", "/proc/nowhere/x", "file/x", "/dev/null", "fifo", "socket",
               "loop"]  # fmt: skip
    if not inside:
        outputs += [".", "..", "/", "tree"]
    if name in WITH_FORCE:
        given = [*given, "--force"]
    for output in outputs:
        if name == "import_checkpoint":
            output = f"{output}/x.keras" if output in ("file", "loop") else f"{output}.keras"
            if output in (".keras", "/.keras", "...keras", "..keras", "tree.keras", "fifo.keras",
                          "socket.keras", "/dev/null.keras"):  # fmt: skip
                continue
        assert run(*given, f"{flag}={output}") == 2, output
        error = capsys.readouterr().err.splitlines()
        assert [line for line in error if line.startswith("error: ")] == error[-1:], output
        assert "gone" not in error[-1] and len(error[-1]) < 400, error[-1]
    assert contents(place) == before


@pytest.mark.parametrize("command", REPLACING, indirect=True)
def test_a_folder_of_somebody_else_is_not_replaced(command, place, capsys):
    name, run = command
    given, flag, inside = COMMANDS[name]
    (place / "theirs").mkdir()
    (place / "theirs" / ("config.json" if inside else "notes")).write_text("{}")
    before = contents(place)
    assert run(*given, f"{flag}=theirs", "--force") == 2
    assert "theirs" in capsys.readouterr().err or inside
    assert contents(place) == before
