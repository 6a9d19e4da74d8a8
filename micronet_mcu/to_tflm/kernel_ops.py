"""Layers with weights as custom operators that the C kernels run.

TFLM's own operators prepare their requantization when the board starts, in SRAM. Here it is done
beforehand and lies in flash: `custom_options` hold the kernel's numbers, constant tensors its
weights and channel records. The second output is the kernel's scratch memory, so that TFLM's memory
planner finds the place for it.

    name                        kernel                        constants                 options
    MicroNetConv2D              micronet_conv2d               weights, channels         geometry
    MicroNetConv2DColumnRGB     micronet_conv2d_column_rgb    weights, channels         geometry
    MicroNetDepthwiseConv2D     micronet_depthwise            weights, channels         geometry
    MicroNetGroupedConv2D       micronet_conv2d_grouped_1x1   doubled_weights, channels grouped
    MicroNetFullyConnected      micronet_fully_connected      weights, doubled_bias     dense

Options are little-endian and begin with uint16 version 1. The fields are those of the structs in
`tflm/kernels/include/micronet_kernels.h`, in this order:

    geometry    int16 x 13: in_h in_w in_c out_h out_w out_c kernel_h kernel_w stride_h stride_w
                pad_top pad_left input_zero_point; int8 clamp_min, clamp_max; int16 0     (32 bytes)
    grouped     int16 x 4: in_c out_c groups input_zero_point; int8 clamp_min, clamp_max;
                int32 pixels                                                              (16 bytes)
    dense       int16 x 3: in_c out_c input_zero_point; int8 clamp_min, clamp_max; int16 0;
                int32 x 3: multiplier offset shift                                        (24 bytes)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.program import Array, Step
from micronet_mcu.tflite.rewrite import add_tensor, constant, operator_code

_GEOMETRY = (
    "in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel_h", "kernel_w", "stride_h",
    "stride_w", "pad_top", "pad_left", "input_zero_point", "clamp_min", "clamp_max",
)  # fmt: skip
_DTYPES = {
    "int8_t": np.int8,
    "int16_t": np.int16,
    "int32_t": np.int32,
    "micronet_channel": np.int32,
}


@dataclass(frozen=True)
class _Form:
    """How a kernel's struct is stored.

    Attributes:
        name: of the operator.
        layout: of the options, for `struct`; the version comes first.
        fields: of the kernel's struct, in the order of the options.
        constants: the struct's pointers that become inputs.
    """

    name: str
    layout: str
    fields: tuple[str, ...]
    constants: tuple[str, ...]


_FORMS = {
    "micronet_conv2d": _Form("MicroNetConv2D", "<H13h2bxx", _GEOMETRY, ("weights", "channels")),
    "micronet_conv2d_column_rgb": _Form(
        "MicroNetConv2DColumnRGB", "<H13h2bxx", _GEOMETRY, ("weights", "channels")
    ),
    "micronet_depthwise": _Form(
        "MicroNetDepthwiseConv2D", "<H13h2bxx", _GEOMETRY, ("weights", "channels")
    ),
    "micronet_depthwise_1d": _Form(
        "MicroNetDepthwiseConv2D", "<H13h2bxx", _GEOMETRY, ("weights", "channels")
    ),
    "micronet_conv2d_grouped_1x1": _Form(
        "MicroNetGroupedConv2D",
        "<H4h2bi",
        ("in_c", "out_c", "groups", "input_zero_point", "clamp_min", "clamp_max", "pixels"),
        ("doubled_weights", "channels"),
    ),
    "micronet_fully_connected": _Form(
        "MicroNetFullyConnected",
        "<H3h2bxx3i",
        ("in_c", "out_c", "input_zero_point", "clamp_min", "clamp_max",
         "multiplier", "offset", "shift"),
        ("weights", "doubled_bias"),
    ),
}  # fmt: skip
NAMES = tuple(dict.fromkeys(form.name for form in _FORMS.values()))


def kernel_step(node: Node) -> Step | None:
    """The call of a kernel for a layer with weights; None when TFLM's own operator must do it."""
    try:
        step = node.step()
    except Unsupported:
        return None
    return step if step.call.kernel.name in _FORMS else None


def kernel_operator(objects: schema.ModelT, step: Step, x: int, y: int) -> schema.OperatorT:
    """Adds a step's constants to the model and returns the operator that calls its kernel.

    Args:
        objects: the model.
        step: what `kernel_step` returned.
        x, y: the tensors of input and output.
    """
    form = _FORMS[step.call.kernel.name]
    fields = step.call.params.values
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(objects, "CUSTOM", form.name)
    options = struct.pack(form.layout, 1, *(int(fields[name]) for name in form.fields))
    operator.customOptions = np.frombuffer(options, np.uint8)
    operator.inputs = [x, *(_constant(objects, fields[n], step, n) for n in form.constants)]
    operator.outputs = [y]
    if step.scratch_bytes:
        operator.outputs.append(
            add_tensor(objects, f"{step.name}/scratch", (step.scratch_bytes,), np.int8)
        )
    return operator


def _constant(objects, array: Array, step: Step, name: str) -> int:
    values = np.ascontiguousarray(array.values).astype(_DTYPES[array.ctype])
    buffer = constant(objects, values)
    return add_tensor(objects, f"{step.name}/{name}", values.shape, values.dtype, buffer)
