"""The same layers in the forms that CMSIS-NN has fast kernels for.

Cortex-M builds of TFLM (Arduino's library, Zephyr's and the Pico's modules) can call CMSIS-NN. On
a Cortex-M4 without Helium its cost depends on the form. Measured, in instructions:

- CONV_2D: 100 a tap and pixel to collect the input, then 30 an output and 2 a product;
- CONV_2D of 1x1: no collecting, but 240 a pixel and group where there are groups;
- DEPTHWISE_CONV_2D with a multiplier: 60 an output, and 25 (1xk) or 45 (kx1) a tap;
- FULLY_CONNECTED: 5 a product, but 2 where the output has at most two axes;
- GATHER: 27 an element.

What is cheaper in another form gets it. All are builtin operators with the same results bit for
bit, on any TFLM; on its reference kernels, which cost what the products cost, they are slower.
"""

from __future__ import annotations

import math

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from micronet_mcu.graph.read import read_model
from micronet_mcu.graph.window import leading_padding
from micronet_mcu.tflite.model import Model, Operator
from micronet_mcu.tflite.rewrite import add_tensor, constant, operator_code, pack, unpack
from micronet_mcu.to_tflm.groups import add_tensor_like, dense_filter


def tune_for_cmsis_nn(model: bytes) -> bytes:
    """Rewrites the layers that CMSIS-NN runs faster in another form.

    - DEPTHWISE_CONV_2D with a multiplier becomes CONV_2D with zeros where channels do not meet, and
      takes several columns with few channels as one with many, between two RESHAPEs.
    - CONV_2D of 1x1 with groups gets one group, with zeros likewise; a GATHER of channels before it
      becomes part of the filter.
    - FULLY_CONNECTED writes [1, n] instead of [1, 1, 1, n].

    Args:
        model: bytes of an int8 ``.tflite`` file.

    Returns:
        The bytes of a ``.tflite`` file with the same results bit for bit.

    Raises:
        UserError: the model is not usable.

    Example:

    >>> tuned = tune_for_cmsis_nn(flatbuffer)
    >>> names = [[o.name for o in read_model(m).operators] for m in (flatbuffer, tuned)]
    >>> [each.count("DEPTHWISE_CONV_2D") for each in names]
    [4, 1]
    """
    parsed = read_model(model)
    objects = unpack(model)
    subgraph = objects.subgraphs[0]
    operators = list(subgraph.operators)
    subgraph.operators, absorbed = [], set()
    for operator in parsed.operators:
        made = operators[operator.index]
        form = [made]
        if not _constant_weights(parsed, operator):
            pass
        elif operator.name == "DEPTHWISE_CONV_2D" and operator.options["depth_multiplier"] > 1:
            form = _depthwise(objects, parsed, operator, made) or form
        elif operator.name == "CONV_2D" and _is_dearly_grouped(parsed, operator):
            gather = _fill_groups(objects, parsed, operator, made)
            absorbed |= {id(operators[gather.index])} if gather else set()
        subgraph.operators += form
    subgraph.operators = [o for o in subgraph.operators if id(o) not in absorbed]
    _flatten_vectors(objects, parsed)
    return pack(objects)


def _constant_weights(model: Model, operator: Operator) -> bool:
    return all(i < 0 or model.tensors[i].data is not None for i in operator.inputs[1:])


def _conv_cost(taps: int, products: int, outputs: int) -> int:
    """Instructions for a pixel of CONV_2D."""
    return 100 * taps + outputs * (30 + 2 * products)


# Depthwise convolutions with a multiplier.


def _depthwise(objects, model: Model, operator: Operator, made) -> list | None:
    """As CONV_2D of as many columns at once as is cheapest; None if the operator is cheaper."""
    x, filter_ = (model.tensors[i] for i in operator.inputs[:2])
    y = model.tensors[operator.outputs[0]]
    _, height, width, cout = filter_.shape
    filter_as_conv = np.zeros((cout, height, width, x.shape[3]), np.int8)
    each = np.arange(cout)
    meets = each // operator.options["depth_multiplier"]
    filter_as_conv[each, :, :, meets] = filter_.data[0].transpose(2, 0, 1)
    best = y.shape[2] * cout * (60 + height * width * (25 if height == 1 else 45))
    chosen = None
    for columns in range(1, y.shape[2] + 1):
        weights = _join(model, operator, filter_as_conv, columns)
        if weights is not None:
            taps = weights.shape[1] * weights.shape[2]
            cost = _conv_cost(taps, taps * weights.shape[3], weights.shape[0])
            if cost * (y.shape[2] // columns) < best:
                best, chosen = cost * (y.shape[2] // columns), (columns, weights)
    if chosen is None:
        return None
    return _as_conv(objects, model, operator, made, *chosen)


def _join(model: Model, operator: Operator, weights: np.ndarray, columns: int) -> np.ndarray | None:
    """The filter that computes so many columns of the output, as channels of one, at once.

    None when the columns of the input cannot be joined alike.
    """
    if columns == 1:
        return weights
    x, y = model.tensors[operator.inputs[0]], model.tensors[operator.outputs[0]]
    options = operator.options
    cout, height, width, cin = weights.shape
    stride, dilation = options["stride_w"], options["dilation_w_factor"]
    step = columns * stride  # columns of the input that become one
    if x.shape[2] != step * (y.shape[2] // columns) or y.shape[2] % columns or dilation != 1:
        return None
    pad = leading_padding(x.shape[2], width, stride, dilation, options["padding"])
    # SAME with stride 1 pads (taps - 1) // 2 columns before, so taps are as many on either side.
    before = math.ceil(pad / step)
    after = ((columns - 1) * stride + width - 1 - pad) // step
    side = max(before, after)
    joined = np.zeros((columns, cout, height, (2 * side + 1) * step, cin), np.int8)
    for column in range(columns):
        first = side * step + column * stride - pad
        joined[column, :, :, first : first + width] = weights
    return joined.reshape(columns * cout, height, 2 * side + 1, step * cin)


def _as_conv(objects, model, operator, made, columns: int, weights: np.ndarray) -> list:
    x, filter_ = (model.tensors[i] for i in operator.inputs[:2])
    y = model.tensors[operator.outputs[0]]
    new = schema.Conv2DOptionsT()
    for name in ("padding", "strideH", "strideW", "dilationHFactor", "dilationWFactor",
                 "fusedActivationFunction"):  # fmt: skip
        setattr(new, name, getattr(made.builtinOptions, name))
    made.builtinOptionsType, made.builtinOptions = schema.BuiltinOptions.Conv2DOptions, new
    made.opcodeIndex = operator_code(objects, "CONV_2D")
    filled = add_tensor_like(
        objects, filter_, weights.shape, f"{filter_.name}/conv", weights, columns
    )
    objects.subgraphs[0].tensors[filled].quantization.quantizedDimension = 0
    made.inputs = [x.index, filled, *operator.inputs[2:]]
    if columns == 1:
        return [made]
    new.strideW = 1
    if len(made.inputs) > 2 and made.inputs[2] >= 0:
        bias = model.tensors[made.inputs[2]]
        values = np.tile(bias.data.ravel(), columns)
        made.inputs[2] = add_tensor_like(
            objects, bias, values.shape, f"{bias.name}/joined", values, columns
        )
    width = y.shape[2] // columns
    shapes = [(*t.shape[:2], width, t.size // (t.shape[1] * width)) for t in (x, y)]
    made.inputs[0] = add_tensor_like(objects, x, shapes[0], f"{x.name}/joined")
    made.outputs = [add_tensor_like(objects, y, shapes[1], f"{y.name}/joined")]
    return [
        _reshape(objects, x.index, made.inputs[0], shapes[0]),
        made,
        _reshape(objects, made.outputs[0], y.index, y.shape),
    ]


def _reshape(objects, source: int, target: int, shape: tuple[int, ...]):
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(objects, "RESHAPE")
    buffer = constant(objects, np.array(shape, np.int32))
    operator.inputs = [source, add_tensor(objects, "shape", (len(shape),), np.int32, buffer)]
    operator.outputs = [target]
    operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = schema.ReshapeOptionsT()
    operator.builtinOptions.newShape = list(shape)
    return operator


# Convolutions with groups.


def _is_dearly_grouped(model: Model, operator: Operator) -> bool:
    x, filter_ = (model.tensors[i] for i in operator.inputs[:2])
    cout, height, width, depth = filter_.shape
    groups = x.shape[3] // depth
    if groups == 1 or (height, width) != (1, 1):
        return False
    return _conv_cost(0, x.shape[3], cout) < 240 * groups + _conv_cost(0, depth, cout)


def _fill_groups(objects, model: Model, operator: Operator, made) -> Operator | None:
    """Gives a CONV_2D one group; returns the GATHER before it if the filter does its work now."""
    x, filter_ = (model.tensors[i] for i in operator.inputs[:2])
    weights = dense_filter(x.shape[3], filter_.data)
    gather = next((o for o in model.operators if x.index in o.outputs), None)
    if gather is not None and _is_private_shuffle(model, gather):
        source, order = gather.inputs
        shuffled = np.zeros_like(weights)
        shuffled[..., model.tensors[order].data.ravel()] = weights
        weights = shuffled
    else:
        gather, source = None, x.index
    filled = add_tensor_like(objects, filter_, weights.shape, f"{filter_.name}/dense", weights)
    made.inputs = [source, filled, *operator.inputs[2:]]
    return gather


def _is_private_shuffle(model: Model, gather: Operator) -> bool:
    """A GATHER that puts all channels into another order, for one reader."""
    if gather.name != "GATHER" or gather.options["axis"] not in (-1, 3):
        return False
    x, order = (model.tensors[i] for i in gather.inputs)
    (output,) = gather.outputs
    readers = sum(operator.inputs.count(output) for operator in model.operators)
    is_order = len(x.shape) == 4 and np.array_equal(np.sort(order.data.ravel()), range(x.shape[3]))
    same = model.tensors[output].shape == x.shape
    return is_order and same and readers == 1 and output not in model.outputs


# Vectors.


def _flatten_vectors(objects, model: Model) -> None:
    """A dense layer's output, and the hard swish of it, unless somebody reads them by axes."""
    for operator in model.operators:
        if operator.name != "FULLY_CONNECTED":
            continue
        vectors = {operator.outputs[0]}
        readers = [o for o in model.operators if vectors & set(o.inputs)]
        vectors |= {o.outputs[0] for o in readers if o.name == "HARD_SWISH"}
        readers = [o for o in model.operators if vectors & set(o.inputs)]
        flat = all(model.tensors[index].shape[:-1] == (1, 1, 1) for index in vectors)
        inner = not vectors & set(model.outputs)
        if flat and inner and all(_takes_vector(o, vectors) for o in readers):
            for index in vectors:
                tensor = objects.subgraphs[0].tensors[index]
                tensor.shape, tensor.shapeSignature = [1, model.tensors[index].shape[-1]], None


def _takes_vector(reader: Operator, vectors: set[int]) -> bool:
    return reader.name in ("FULLY_CONNECTED", "RESHAPE") or reader.outputs[0] in vectors
