"""Grouped convolutions for ports of TFLM whose CONV_2D has no groups.

Arduino's library and ESP-NN read past the filter when a CONV_2D has groups. The two forms here need
none and give the same results bit for bit, at the price of flash (dense) or of operators (split).
"""

from __future__ import annotations

import copy

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.tflite.model import Model, Operator, Tensor
from micronet_mcu.tflite.rewrite import constant, operator_code, pack, unpack

FORMS = ("native", "split", "dense")
# TFLM's CONCATENATION takes no more.
_MOST_INPUTS = 10


def rewrite_groups(model: bytes, form: str) -> bytes:
    """Rewrites every grouped CONV_2D.

    Args:
        model: bytes of an int8 ``.tflite`` file.
        form: "native" leaves the model as it is; "dense" fills the filter with zeros to one group;
            "split" makes SPLIT, one CONV_2D a group, CONCATENATION.

    Returns:
        The bytes of a ``.tflite`` file with the same results bit for bit.

    Raises:
        UserError: `form` is none of these, or the model is not usable.

    Example:

    >>> dense = rewrite_groups(flatbuffer, "dense")  # larger, and runs on any interpreter
    >>> len(dense) > len(flatbuffer)
    True
    """
    if form not in FORMS:
        raise UserError(f"groups must be one of {', '.join(FORMS)}, not {form!r}")
    parsed = read_model(model)
    grouped = {o.index: _group_count(parsed, o) for o in parsed.operators}
    if form == "native" or max(grouped.values()) == 1:
        return model
    objects = unpack(model)
    subgraph = objects.subgraphs[0]
    operators = list(subgraph.operators)
    subgraph.operators = []
    for operator in parsed.operators:
        made = operators[operator.index]
        if grouped[operator.index] == 1:
            subgraph.operators.append(made)
        elif form == "dense":
            subgraph.operators.append(_dense(objects, parsed, operator, made))
        else:
            subgraph.operators += _split(objects, parsed, operator, made, grouped[operator.index])
    return pack(objects)


def _group_count(model: Model, operator: Operator) -> int:
    if operator.name != "CONV_2D":
        return 1
    x, filter_ = (model.tensors[i] for i in operator.inputs[:2])
    if filter_.data is None and x.shape[3] != filter_.shape[3]:
        raise UserError(f"{model.shapes(operator)} has groups, and a filter that is not constant")
    return x.shape[3] // filter_.shape[3]


def add_tensor_like(
    objects,
    template: Tensor,
    shape: tuple[int, ...],
    name: str,
    values: np.ndarray | None = None,
    repeat: int = 1,
    part: slice = slice(None),
) -> int:
    """Adds a tensor quantized as `template`, a constant if there are `values`; returns its index.

    Per-channel scales are repeated so many times, or only a `part` of them is taken.
    """
    tensor = copy.deepcopy(objects.subgraphs[0].tensors[template.index])
    tensor.name, tensor.shape, tensor.shapeSignature = name.encode(), np.int32(shape), None
    tensor.buffer = 0 if values is None else constant(objects, values)
    quantization = tensor.quantization
    if quantization is not None and quantization.scale is not None and len(quantization.scale) > 1:
        quantization.scale = np.tile(quantization.scale, repeat)[part]
        quantization.zeroPoint = np.tile(quantization.zeroPoint, repeat)[part]
        quantization.min = quantization.max = None
    objects.subgraphs[0].tensors.append(tensor)
    return len(objects.subgraphs[0].tensors) - 1


def dense_filter(channels: int, grouped: np.ndarray) -> np.ndarray:
    """The filter of one group, [cout, height, width, channels], from that of several.

    There are zeros where input and output are of different groups.
    """
    cout, height, width, depth = grouped.shape
    groups = channels // depth
    weights = np.zeros((cout, height, width, channels), grouped.dtype)
    for g in range(groups):
        outputs = slice(g * cout // groups, (g + 1) * cout // groups)
        weights[outputs, :, :, g * depth : (g + 1) * depth] = grouped[outputs]
    return weights


def _dense(objects, model: Model, operator: Operator, made):
    x, filter_ = (model.tensors[i] for i in operator.inputs[:2])
    weights = dense_filter(x.shape[3], filter_.data)
    filled = add_tensor_like(objects, filter_, weights.shape, f"{filter_.name}/dense", weights)
    made.inputs = [operator.inputs[0], filled, *operator.inputs[2:]]
    return made


def _split(objects, model: Model, operator: Operator, made, groups: int) -> list:
    tensors = objects.subgraphs[0].tensors
    x, filter_ = (model.tensors[i] for i in operator.inputs[:2])
    bias = model.tensors[operator.inputs[2]] if operator.inputs[2:] not in ((), (-1,)) else None
    y = model.tensors[operator.outputs[0]]
    cout, depth = filter_.shape[0] // groups, filter_.shape[3]

    axis = schema.TensorT()
    axis.name, axis.shape, axis.type = b"split/axis", [], schema.TensorType.INT32
    axis.buffer = constant(objects, np.array(3, np.int32))
    tensors.append(axis)
    split = schema.OperatorT()
    split.opcodeIndex = operator_code(objects, "SPLIT")
    split.inputs = [len(tensors) - 1, x.index]
    split.builtinOptionsType = schema.BuiltinOptions.SplitOptions
    split.builtinOptions = schema.SplitOptionsT()
    split.builtinOptions.numSplits = groups
    split.outputs = [
        add_tensor_like(objects, x, (*x.shape[:3], depth), f"{x.name}/{g}") for g in range(groups)
    ]
    result, parts = [split], []
    for g in range(groups):
        channels = slice(g * cout, (g + 1) * cout)
        part = copy.deepcopy(made)
        weights = add_tensor_like(
            objects, filter_, (cout, *filter_.shape[1:]), f"{filter_.name}/{g}",
            filter_.data[channels], part=channels,
        )  # fmt: skip
        part.inputs = [split.outputs[g], weights]
        if bias is not None:
            part.inputs.append(
                add_tensor_like(objects, bias, (cout,), f"{bias.name}/{g}",
                                bias.data.ravel()[channels], part=channels)
            )  # fmt: skip
        shape = (*y.shape[:3], cout)
        part.outputs = [add_tensor_like(objects, y, shape, f"{y.name}/{g}")]
        parts.append((part.outputs[0], cout))
        result.append(part)
    while len(parts) > 1:
        last = len(parts) <= _MOST_INPUTS
        joined = []
        for start in range(0, len(parts), _MOST_INPUTS):
            some = parts[start : start + _MOST_INPUTS]
            width = sum(channels for _, channels in some)
            if last:
                output = y.index
            elif len(some) == 1:
                joined += some
                continue
            else:
                shape = (*y.shape[:3], width)
                name = f"{y.name}/join{len(tensors)}"
                output = add_tensor_like(objects, y, shape, name)
            result.append(_concatenation(objects, [index for index, _ in some], output))
            joined.append((output, width))
        parts = joined
    return result


def _concatenation(objects, inputs: list[int], output: int):
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(objects, "CONCATENATION")
    operator.inputs, operator.outputs = inputs, [output]
    operator.builtinOptionsType = schema.BuiltinOptions.ConcatenationOptions
    operator.builtinOptions = schema.ConcatenationOptionsT()
    operator.builtinOptions.axis = 3
    return operator
