"""The arena of a model with this project's custom operators, measured on TFLM itself."""

from __future__ import annotations

import numpy as np

from micronet_mcu.graph.kernels import CUSTOM_OPS
from micronet_mcu.graph.read import read_model
from micronet_mcu.tflite.rewrite import add_tensor, constant, operator_code, pack, unpack
from micronet_mcu.to_tflm.interpreter import measure_arena


def measure_fused_arena(model: bytes) -> int:
    """`measure_arena` for any model, with or without the custom operators of tflm/micronet.

    The interpreter of the wheel does not know these operators. For the measurement each gives way
    to a MAXIMUM of constants that has its inputs and outputs besides: like the custom operators it
    keeps nothing of its own in the arena, so that memory is planned alike. (The constants' records
    make the figure greater by 24 bytes for every shape.)

    Args:
        model: bytes of a ``.tflite`` file.

    Returns:
        Bytes, as a 64-bit machine counts them; a 32-bit board needs less.

    Raises:
        UserError: the model is not usable, or TFLM cannot run it.

    Example:

    >>> from micronet_mcu.to_tflm.fused_ops import fuse
    >>> measure_fused_arena(fuse(flatbuffer, layers="all")) > 0
    True
    """
    if not any(operator.custom_name in CUSTOM_OPS for operator in read_model(model).operators):
        return measure_arena(model)
    objects = unpack(model)
    maximum = operator_code(objects, "MAXIMUM")
    zeros: dict[tuple, int] = {}
    for operator in objects.subgraphs[0].operators:
        code = objects.operatorCodes[operator.opcodeIndex]
        name = code.customCode.decode() if code.customCode else None
        if name in CUSTOM_OPS:
            operator.opcodeIndex, operator.customOptions = maximum, None
            shape = tuple(objects.subgraphs[0].tensors[operator.outputs[0]].shape)
            if shape not in zeros:
                buffer = constant(objects, np.zeros(shape, np.int8))
                zeros[shape] = add_tensor(objects, "zeros", shape, np.int8, buffer)
            operator.inputs = [zeros[shape], zeros[shape], *operator.inputs]
    return measure_arena(pack(objects))
