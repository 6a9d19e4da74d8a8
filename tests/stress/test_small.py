"""A small form of the stress harness; tests/stress/run.py has the full one."""

import subprocess
import sys
from pathlib import Path

import optional
import pytest

RUN = Path(__file__).with_name("run.py")
pytestmark = pytest.mark.slow


def nothing_found(part: str, *names: str, share: float) -> None:
    command = [sys.executable, RUN, f"--only={part}", f"--names={','.join(names)}",
               f"--share={share}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    for name in names:
        assert f"{part} {name}: " in done.stdout


def test_kills():
    nothing_found("kills", "compile", share=0.03)


def test_two_at_once_and_odd_places():
    nothing_found("collisions", "compile", share=0.1)


def test_damaged_flatbuffers():
    nothing_found("mutations", "flatbuffers", share=0.001)


@pytest.mark.parametrize(
    "kind", ["checkpoints", "archives", "models", "annotations", "sessions", "images"]
)
def test_damaged_input(kind):
    if kind == "checkpoints":
        optional.require("torch")
    nothing_found("mutations", kind, share=0.003)


def test_fuzzing():
    optional.require("libFuzzer")
    nothing_found("fuzzing", "protocol", "image", "detection", "keypoints", share=0.02)
