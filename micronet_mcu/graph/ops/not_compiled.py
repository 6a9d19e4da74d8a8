"""Operators that TFLM runs and no kernel does."""

from micronet_mcu.graph.op import Op

OPERATORS = (Op("TRANSPOSE_CONV", "AddTransposeConv"),)
