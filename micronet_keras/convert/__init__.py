"""From a quantized graph to an int8 flatbuffer and to C arrays."""

from micronet_keras.convert.c_array import write_c_array
from micronet_keras.convert.flatbuffer import Model, Operator, Tensor, read_model
from micronet_keras.convert.tflite import convert

__all__ = ["Model", "Operator", "Tensor", "convert", "read_model", "write_c_array"]
