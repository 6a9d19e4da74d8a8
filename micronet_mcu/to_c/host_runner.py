"""A flatbuffer compiled to C and run on this machine, as a board would answer."""

import contextlib
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.runner import Int8Runner, image_of
from micronet_mcu.to_c.compiler import compile_model
from micronet_mcu.to_c.host import build


class HostRunner(Int8Runner):
    """The compiled form of a model; the kernels give the same numbers on every processor.

    Args:
        model: a `.tflite` file or its bytes, as `compile_model` takes it.
        fuse: make one kernel call of every DY-ShiftMax.

    Raises:
        UserError: as `compile_model`.

    Example:

    >>> HostRunner("model.tflite").predict(images).shape
    (8, 4)
    """

    def __init__(self, model: Any, fuse: bool = True):
        parsed = read_model(model)
        self.input = image_of(parsed)
        self.outputs = [parsed.tensors[index] for index in parsed.outputs]
        self._folder = tempfile.TemporaryDirectory()
        compiled = compile_model(model, Path(self._folder.name, "c"), fuse=fuse)
        folder = Path(self._folder.name)
        executable = build(compiled.folder, compiled.name, compiled.program, folder)
        self._process = subprocess.Popen(
            [executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        # The program ends when its input does, also where nobody calls `close`.
        self.close = weakref.finalize(self, _stop, self._process, self._folder)

    def invoke_all(self, image: np.ndarray) -> list[np.ndarray]:
        with contextlib.suppress(BrokenPipeError):  # Noticed below, where nothing is read.
            data = np.ascontiguousarray(image, self.input.dtype).tobytes()
            _pipe(self._process.stdin).write(data)
        return [
            np.frombuffer(self._read(tensor.nbytes), tensor.dtype).reshape(tensor.shape)
            for tensor in self.outputs
        ]

    def _read(self, count: int) -> bytes:
        answer = b""
        while len(answer) < count:
            part = _pipe(self._process.stdout).read(count - len(answer))
            if not part:
                raise UserError("the compiled model ended early")
            answer += part
        return answer


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None  # `Popen` was asked for it.
    return end


def _stop(process: subprocess.Popen, folder: tempfile.TemporaryDirectory) -> None:
    process.communicate()
    folder.cleanup()
