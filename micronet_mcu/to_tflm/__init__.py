"""For TensorFlow Lite Micro: forms of a flatbuffer, op resolver, C arrays, the interpreter."""

from micronet_mcu.to_tflm.c_array import write_c_array
from micronet_mcu.to_tflm.forms import FUSE, TUNE, Prepared, prepare_flatbuffer
from micronet_mcu.to_tflm.fused_arena import measure_fused_arena
from micronet_mcu.to_tflm.interpreter import Interpreter, measure_arena
from micronet_mcu.to_tflm.op_resolver import write_op_resolver

__all__ = [
    "FUSE",
    "TUNE",
    "Interpreter",
    "Prepared",
    "measure_arena",
    "measure_fused_arena",
    "prepare_flatbuffer",
    "write_c_array",
    "write_op_resolver",
]


def __dir__() -> list[str]:
    return list(__all__)
