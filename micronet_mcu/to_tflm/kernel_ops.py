"""Layers with weights as custom operators that the C kernels run.

TFLM's own operators prepare their requantization when the board starts, in SRAM. Here it is done
beforehand and lies in flash. Which kernel has an operator says the table in
`micronet_mcu.graph.kernels`. The operator's `custom_options` are the bytes of the `shape` in the
kernel's parameters (`tflm/kernels/include/micronet_params.h`), little-endian; its inputs are the
activation and, as constant tensors, what the parameters point to (weights, channel records), in
their order. The second output is the kernel's scratch memory, so that TFLM's memory planner finds
the place for it.
"""

from __future__ import annotations

import numpy as np

from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.program import Array, Params, Step
from micronet_mcu.graph.structs import structure
from micronet_mcu.tflite.rewrite import ModelT, OperatorT, add_tensor, constant, operator_code

_DTYPES = {
    "int8_t": np.int8,
    "int16_t": np.int16,
    "int32_t": np.int32,
    "micronet_channel": np.int32,
}


def kernel_step(node: Node) -> Step | None:
    """The call of a kernel that has a custom operator; None when TFLM's own must do it."""
    try:
        step = node.step()
    except Unsupported:
        return None
    return step if step.call.kernel.custom_op else None


def kernel_operator(objects: ModelT, step: Step, x: int, y: int) -> OperatorT:
    """Adds a step's constants to the model and returns the operator that calls its kernel.

    Args:
        objects: the model.
        step: what `kernel_step` returned.
        x, y: the tensors of input and output.
    """
    params = step.call.params
    operator = OperatorT()
    operator.opcodeIndex = operator_code(objects, "CUSTOM", step.call.kernel.custom_op)
    operator.customOptions = np.frombuffer(shape_bytes(params), np.uint8)
    constants = {n: v for n, v in params.values.items() if isinstance(v, Array)}
    operator.inputs = [
        x,
        *(_constant(objects, f"{step.name}/{n}", v) for n, v in constants.items()),
    ]
    operator.outputs = [y]
    if step.call.scratch:
        size = step.scratch_bytes or step.call.scratch.most
        scratch = add_tensor(objects, f"{step.name}/scratch", (size,), np.int8)
        operator.outputs.append(scratch)
    return operator


def shape_bytes(params: Params) -> bytes:
    """The bytes of the parameters' numbers."""
    shape = params.struct.shape or params.struct
    numbers = {name: params.values[name] for name, _ in shape.members()}
    return bytes(structure(shape)(**numbers))


def _constant(objects: ModelT, name: str, array: Array) -> int:
    values = np.ascontiguousarray(array.values).astype(_DTYPES[array.ctype])
    return add_tensor(objects, name, values.shape, values.dtype, constant(objects, values))
