"""The real TensorFlow Lite Micro interpreter: runs int8 flatbuffers and measures their arena."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro.python.tflite_micro import runtime

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.runner import Int8Runner, image_of
from micronet_mcu.shown import bytes_text
from micronet_mcu.tflite.model import Model
from micronet_mcu.tflite.reader import flatbuffer_bytes

_PROBE = Path(__file__).with_name("arena_probe.py")
_GENEROUS_ARENA = 256 * 2**20
_STEP = 1024


def measure_arena(model: Any) -> int:
    """The arena in bytes that TFLM needs for `model`, as this machine counts it.

    `model` is a ``.tflite`` file or its bytes.

    TFLM reports what it allocated; the size is then verified by running in an arena of that size.
    On a 32-bit board pointers are half as long, so the model fits there too.

    Raises:
        UserError: TFLM cannot run the model; the message carries TFLM's own words.
    """
    model = flatbuffer_bytes(model)
    report = _probe(model, _GENEROUS_ARENA)
    found = re.search(r"Arena allocation total (\d+) bytes", report.stdout + report.stderr)
    if report.returncode or not found:
        raise UserError(f"TensorFlow Lite Micro cannot run this model: {_reason(report)}")
    reported = int(found[1])
    for size in range(reported, reported + 64 * _STEP, _STEP):
        if _probe(model, size).returncode == 0:
            return size
    raise UserError(
        f"no arena near the {reported} bytes that TFLM reports is enough for this model"
    )


def refuse_custom_operators(model: Model) -> None:
    """Raises UserError when a model is fused already, or somebody else's."""
    custom = {operator.custom_name for operator in model.operators if operator.custom_name}
    if custom:
        raise UserError(
            f"the model has custom operators ({', '.join(sorted(custom))}), which only firmware "
            "has; give the one with builtin operators (micronet convert without `fuse`)"
        )


class Interpreter(Int8Runner):
    """An int8 model on TensorFlow Lite Micro.

    Args:
        model: a ``.tflite`` file with one input, an image: its path or its bytes, see
            `micronet_mcu.tflite.flatbuffer_bytes`.

    Attributes:
        input: the tensor of the image.
        outputs: the tensors of the answer, in the order of the model's outputs.
        output: the first of them.
        arena_bytes: see `measure_arena`.

    Raises:
        UserError: the file is damaged, has custom operators, or TFLM cannot run it.

    Example:

    >>> interpreter = Interpreter("model.tflite")
    >>> interpreter.predict(images).shape  # images: uint8 [8, height, width, 3]
    (8, 4)
    """

    def __init__(self, model: Any):
        parsed = read_model(model)
        refuse_custom_operators(parsed)
        self.input = image_of(parsed)
        self.outputs = [parsed.tensors[index] for index in parsed.outputs]
        self.arena_bytes = measure_arena(parsed)
        self._interpreter = runtime.Interpreter.from_bytes(parsed.raw, arena_size=self.arena_bytes)

    def facts(self) -> list[tuple[str, str]]:
        return [*super().facts(), ("arena", bytes_text(self.arena_bytes))]

    def invoke_all(self, image: np.ndarray) -> list[np.ndarray]:
        """Runs one image: int8 [1, height, width, channels] -> all int8 outputs."""
        self._interpreter.set_input(image, 0)
        self._interpreter.invoke()
        return [self._interpreter.get_output(i).copy() for i in range(len(self.outputs))]


def _probe(model: bytes, arena: int) -> subprocess.CompletedProcess:
    command = [sys.executable, str(_PROBE), str(arena)]
    done = subprocess.run(command, input=model, capture_output=True, timeout=600, check=False)
    texts = (s.decode(errors="replace") for s in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, *texts)


def _reason(report: subprocess.CompletedProcess) -> str:
    lines = [line for line in report.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"it ended with status {report.returncode}"
