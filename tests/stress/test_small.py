"""A small form of the stress harness; tests/stress/run.py has the full one."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import optional
import pytest

RUN = Path(__file__).with_name("run.py")
sys.path.insert(0, str(RUN.parent))
damage = importlib.import_module("damage")
pytestmark = pytest.mark.slow


def nothing_found(part: str, *names: str, share: float) -> None:
    command = [sys.executable, RUN, f"--only={part}", f"--names={','.join(names)}",
               f"--share={share}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    for name in names:
        assert f"{part} {name}: " in done.stdout


def test_kills():
    nothing_found("kills", "compile", share=0.02)


def test_two_at_once_and_odd_places():
    nothing_found("collisions", "compile", share=0.1)


def test_damaged_flatbuffers():
    nothing_found("mutations", "flatbuffers", share=0.001)


def test_damaged_sessions():
    nothing_found("mutations", "sessions", share=0.003)


@pytest.mark.parametrize(
    "kind", ["checkpoints", "archives", "models", "annotations", "images", "pipelines"]
)
def test_damaged_input(kind, tmp_path):
    """In this process, where TensorFlow is there already."""
    if kind == "checkpoints":
        optional.require("torch")
    damage.work(kind, 0, 60, 600, tmp_path)
    state = json.loads((tmp_path / "state.json").read_text())
    assert (state["next"], state["findings"]) == (60, [])


def test_fuzzing():
    optional.require("libFuzzer")
    nothing_found("fuzzing", "protocol", "image", "detection", "keypoints", share=0.02)
