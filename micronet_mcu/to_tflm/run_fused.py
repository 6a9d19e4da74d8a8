"""Runs models whose DY-ShiftMax is fused: on TFLM, and the custom operator in numpy."""

from __future__ import annotations

import numpy as np
from tflite_micro.python.tflite_micro import runtime

from micronet_mcu.graph.read import read_model
from micronet_mcu.tflite.model import Model, Operator
from micronet_mcu.tflite.rewrite import pack, unpack
from micronet_mcu.to_tflm.fused_ops import CUSTOM_NAME, parse_custom_options

# For what the interpreter keeps beside the tensors.
_RECORDS = 1 << 20


def run_fused(model: bytes, image: np.ndarray) -> list[np.ndarray]:
    """All outputs of a model for one image, bit for bit as on a board with the C kernel.

    The interpreter of the wheel does not know the custom operator. So the parts between such
    operators run one by one on TFLM. That takes seconds; it is for test vectors.

    Args:
        model: bytes of a ``.tflite`` file of builtin operators and ``MicroNetDYShiftMax``, that is
            ``fuse(model, layers="none")``.
        image: int8, of the input's shape.

    Returns:
        int8 arrays, in the order of the model's outputs.

    Raises:
        ValueError: there is another custom operator.
        UserError: the model is not usable.

    Example:

    >>> from micronet_mcu.to_tflm.fused_ops import fuse
    >>> (scores,) = run_fused(fuse(flatbuffer, layers="none"), image)
    >>> scores.shape, scores.dtype
    ((1, 4), dtype('int8'))
    """
    parsed = read_model(model)
    others = {o.custom_name for o in parsed.operators if o.custom_name} - {CUSTOM_NAME}
    if others:
        raise ValueError(f"The only custom operator is {CUSTOM_NAME}. Received: {sorted(others)}")
    known = {parsed.inputs[0]: image}
    for operator in parsed.operators:
        if operator.custom_name == CUSTOM_NAME:
            known |= _run_part(model, parsed, known, operator.inputs)
            known[operator.outputs[0]] = _dy_shift_max(parsed, operator, known)
    known |= _run_part(model, parsed, known, parsed.outputs)
    return [known[index] for index in parsed.outputs]


def _run_part(model: bytes, parsed: Model, known: dict, wanted) -> dict[int, np.ndarray]:
    """The wanted tensors that are not known yet, on TFLM, from those that are."""
    wanted = [index for index in wanted if index not in known]
    if not wanted:
        return {}
    needed = set(wanted)
    kept: list[int] = []
    for operator in reversed(parsed.operators):
        if needed & set(operator.outputs):
            kept.insert(0, operator.index)
            needed |= set(operator.inputs) - set(known)
    objects = unpack(model)
    graph = objects.subgraphs[0]
    graph.operators = [graph.operators[index] for index in kept]
    used = {index for place in kept for index in parsed.operators[place].inputs}
    inputs = sorted(used & set(known))
    graph.inputs, graph.outputs = inputs, wanted
    objects.signatureDefs = None
    arena = _RECORDS + 2 * sum(t.nbytes for t in parsed.tensors if t.data is None)
    interpreter = runtime.Interpreter.from_bytes(pack(objects), arena_size=arena)
    for place, index in enumerate(inputs):
        interpreter.set_input(known[index], place)
    interpreter.invoke()
    return {index: interpreter.get_output(place).copy() for place, index in enumerate(wanted)}


def _dy_shift_max(parsed: Model, operator: Operator, known: dict) -> np.ndarray:
    """As the readable loops in tflm/kernels/reference/micronet_dyshiftmax.c."""
    options = parse_custom_options(operator.custom_options)
    x, *coefficients = (known[index].astype(np.int32) for index in operator.inputs)
    x = x - options.input_zero_point
    shifted = x[..., options.shift]
    wide = [
        ((q.ravel() - zero_point) * multiplier + (1 << 15)) >> 16
        for q, zero_point, multiplier in zip(
            coefficients, options.zero_points, options.multipliers, strict=True
        )
    ]
    y = wide[0] * x + wide[1] * shifted
    if options.branches == 2:
        y = np.maximum(y, wide[2] * x + wide[3] * shifted)
    y = ((y[..., options.source] + (1 << 11)) >> 12) + options.output_zero_point
    return y.clip(-128, 127).astype(np.int8)
