"""The int8 graph: nodes read from a flatbuffer, passes over them, steps that call kernels."""
