"""From a quantized graph to an int8 flatbuffer and to C arrays."""

from typing import TYPE_CHECKING

from micronet_keras.convert.c_array import write_c_array
from micronet_keras.convert.flatbuffer import Model, Operator, Tensor, read_model

if TYPE_CHECKING:
    from micronet_keras.convert.tflite import convert

__all__ = ["Model", "Operator", "Tensor", "convert", "read_model", "write_c_array"]


def __getattr__(name: str):
    # TensorFlow takes seconds to import, and only `convert` needs it.
    if name == "convert":
        from micronet_keras.convert.tflite import convert

        return convert
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
