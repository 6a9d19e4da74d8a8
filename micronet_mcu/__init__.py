"""The int8 side: `.tflite` files on TensorFlow Lite Micro, as plain C, and on boards.

Needs numpy, flatbuffers and the TFLM interpreter; neither Keras nor TensorFlow.
"""

from micronet_mcu import boards, decode, firmware, tflite, to_c, to_tflm
from micronet_mcu.boards import benchmark
from micronet_mcu.firmware import export_firmware
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_c import compile_model
from micronet_mcu.to_tflm import Interpreter
from micronet_mcu.version import __version__

__all__ = [
    "Interpreter",
    "__version__",
    "benchmark",
    "boards",
    "compile_model",
    "decode",
    "export_firmware",
    "firmware",
    "read_model",
    "tflite",
    "to_c",
    "to_tflm",
]


def __dir__() -> list[str]:
    return list(__all__)
