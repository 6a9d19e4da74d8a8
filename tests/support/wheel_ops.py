"""Runs models with this project's custom operators on the tflite_micro wheel, for the tests."""

import ctypes
import functools
import tempfile
from pathlib import Path

import firmware_build
import numpy as np
from tflite_micro.python.tflite_micro import _runtime, runtime


@functools.cache
def _load() -> str:
    """Builds the operators as a shared library whose one function the wheel finds by its name."""
    folder = Path(tempfile.mkdtemp(prefix="micronet_wheel_"))
    kernels = firmware_build.TFLM / "kernels"
    library = firmware_build.build(
        folder / "wheel_ops.so",
        [
            firmware_build.STUBS / "wheel_ops.cc",
            firmware_build.TFLM / "micronet" / "dy_shift_max_op.cc",
            firmware_build.TFLM / "micronet" / "kernel_ops.cc",
            *sorted(kernels.glob("*/*.c")),
        ],
        [firmware_build.STUBS / "tflm_stub", firmware_build.TFLM / "micronet", kernels / "include"],
        ("-fPIC", "-DTFLM_STUB_NEW_NAMES"),
        link=("-shared",),
    )
    # The library calls functions of the wheel, and the wheel looks into the whole process.
    ctypes.CDLL(_runtime.__file__, mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    return "RegisterMicroNetOps"


def run(model: bytes, images: np.ndarray, arena_bytes: int = 1 << 22) -> np.ndarray:
    """int8 [n, ...] -> the int8 outputs, one by one, from the real TFLM interpreter."""
    interpreter = runtime.Interpreter.from_bytes(
        model, custom_op_registerers=[_load()], arena_size=arena_bytes
    )
    outputs = []
    for image in images:
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    return np.concatenate(outputs)
