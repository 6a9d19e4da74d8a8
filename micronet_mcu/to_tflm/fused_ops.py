"""DY-ShiftMax as one custom operator of the flatbuffer, which the C kernel runs.

The operator is called ``MicroNetDYShiftMax``. Inputs: x [1, H, W, C], then a1, b1 and, with two
branches, a2, b2 of C values each; one output of x's shape; all int8. Its ``custom_options`` are the
numbers that the kernel takes (`tflm/kernels/include/micronet_kernels.h`), little-endian, naturally
aligned:

    offset  type       field
    0       uint8      version: 1
    1       uint8      branches: 1 or 2
    2       uint8      permuted: 1 if `source` is there
    3       uint8      0
    4       uint16     channels C
    6       int8       zero point of x
    7       int8       zero point of the output
    8       int32[4]   multiplier of a1, b1, a2, b2
    24      int32[4]   zero point of a1, b1, a2, b2
    40      uint16[C]  shift
    40+2C   uint16[C]  source, if permuted
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from micronet_mcu.graph.dy_shift_max import (
    coefficient_multiplier,
    fuse_dy_shift_max,
    is_channel_gather,
)
from micronet_mcu.graph.fold import resolve_windows
from micronet_mcu.graph.graph import Graph, Node, Value
from micronet_mcu.tflite.model import Model, Operator
from micronet_mcu.tflite.reader import read_model
from micronet_mcu.tflite.rewrite import operator_code, pack, unpack
from micronet_mcu.to_tflm.kernel_ops import kernel_operator, kernel_step

CUSTOM_NAME = "MicroNetDYShiftMax"
LAYERS = ("none", "coefficients", "all")
_HEADER = struct.Struct("<BBBBHbb4i4i")


def fuse(model: bytes, layers: str = "coefficients") -> bytes:
    """Replaces every DY-ShiftMax that the kernel can take by one custom operator.

    A channel shuffle behind it becomes part of it. All else stays as it is; a model without
    DY-ShiftMax comes back with the same operators.

    Args:
        model: bytes of an int8 ``.tflite`` file.
        layers: which layers with weights become custom operators, too (see
            `micronet_mcu.to_tflm.kernel_ops`): "none", "coefficients" (the dense layers that
            compute the coefficients of DY-ShiftMax) or "all". They give the same results as the
            builtin ones, in a fraction of the instructions and of the arena.

    Returns:
        The bytes of a ``.tflite`` file that needs the custom operators of tflm/micronet.

    Raises:
        ValueError: `layers` is none of these.
        UserError: not a usable ``.tflite`` file.

    Example:

    >>> fused = fuse(Path("model.tflite").read_bytes())
    >>> sorted({operator.custom_name or "" for operator in read_model(fused).operators})
    ['', 'MicroNetDYShiftMax', 'MicroNetFullyConnected']
    """
    if layers not in LAYERS:
        raise ValueError(f"layers must be one of {', '.join(LAYERS)}. Received: {layers!r}")
    parsed = read_model(model)
    graph, tensor_of = _matching_graph(parsed)
    fuse_dy_shift_max(graph)
    _absorb_shuffles(graph)
    on_kernels = _coefficient_layers(graph) if layers == "coefficients" else []
    if layers == "all":
        resolve_windows(graph)
        on_kernels = [node for node in graph.nodes if "weights" in node.attributes]

    objects = unpack(model)
    subgraph = objects.subgraphs[0]
    original = list(subgraph.operators)
    subgraph.operators = []
    taken = set()
    for node in graph.nodes:
        if node.kind == "DY_SHIFT_MAX":
            operator = schema.OperatorT()
            operator.opcodeIndex = operator_code(objects, "CUSTOM", CUSTOM_NAME)
            operator.inputs = [tensor_of[value] for value in node.inputs]
            operator.outputs = [tensor_of[node.output]]
            operator.customOptions = np.frombuffer(custom_options(node), np.uint8)
            subgraph.operators.append(operator)
        elif node in on_kernels and (step := kernel_step(node)):
            ends = tensor_of[node.inputs[0]], tensor_of[node.output]
            subgraph.operators.append(kernel_operator(objects, step, *ends))
        elif node.kind != "MODEL_OUTPUT":
            index = _operator_index(node)
            if index not in taken:
                subgraph.operators.append(original[index])
            taken.add(index)
    return pack(objects)


def custom_options(node: Node) -> bytes:
    """The operator's ``custom_options`` from a DY_SHIFT_MAX node."""
    x, *coefficients = node.inputs
    multipliers = [coefficient_multiplier(value, x, node.output) for value in coefficients]
    zero_points = [value.zero_point for value in coefficients]
    missing = [0] * (4 - len(coefficients))
    shift, source = (np.asarray(node.attributes[key]) for key in ("shift", "source"))
    permuted = not np.array_equal(source, np.arange(x.channels))
    header = _HEADER.pack(
        1, len(coefficients) // 2, permuted, 0, x.channels, x.zero_point, node.output.zero_point,
        *multipliers, *missing, *zero_points, *missing,
    )  # fmt: skip
    tables = (shift, source) if permuted else (shift,)
    return header + b"".join(table.astype("<u2").tobytes() for table in tables)


class CustomOptions(NamedTuple):
    """The numbers of one operator; `shift` and `source` are channel indices."""

    branches: int
    input_zero_point: int
    output_zero_point: int
    multipliers: tuple[int, ...]
    zero_points: tuple[int, ...]
    shift: np.ndarray
    source: np.ndarray


def parse_custom_options(options: bytes) -> CustomOptions:
    """What `custom_options` packed; the caller vouches for the bytes."""
    _, branches, permuted, _, channels, zero_in, zero_out, *numbers = _HEADER.unpack_from(options)
    tables = np.frombuffer(options[_HEADER.size :], "<u2").astype(np.int64).reshape(-1, channels)
    source = tables[1] if permuted else np.arange(channels)
    used = 2 * branches
    multipliers, zero_points = tuple(numbers[:used]), tuple(numbers[4 : 4 + used])
    return CustomOptions(branches, zero_in, zero_out, multipliers, zero_points, tables[0], source)


def _matching_graph(model: Model) -> tuple[Graph, dict[Value, int]]:
    """The model as the pattern matcher sees it, and the tensor of every value.

    Unlike the compiler's graph it takes any operator and several outputs: what is not part of a
    pattern is only passed on.
    """
    values: dict[int, Value] = {}
    tensor_of: dict[Value, int] = {}

    def value(index: int) -> Value:
        if index not in values:
            tensor = model.tensors[index]
            quantized = tensor.dtype == np.int8 and tensor.scale.size == 1
            values[index] = Value(
                tensor.name,
                tensor.shape,
                float(tensor.scale[0]) if quantized else 0.0,
                int(tensor.zero_point[0]) if quantized else 0,
                tensor.data,
            )
            tensor_of[values[index]] = index
        return values[index]

    nodes = []
    for operator in model.operators:
        attributes = dict(operator.options)
        inputs = [value(i) for i in operator.inputs if i >= 0]
        if operator.name == "GATHER":
            attributes["constant"] = inputs.pop().data
        attributes |= _weights(model, operator)
        inputs = inputs[:1] if "weights" in attributes else inputs
        kind = operator.name
        if any(model.tensors[i].dtype != np.int8 for i in operator.outputs):
            kind += " (not int8)"
        nodes += [
            Node(kind, inputs, value(output), attributes, f"operator {operator.index} {kind}")
            for output in operator.outputs
        ]
    # A reader at the end, so that no output of the model passes for the inside of a pattern.
    outputs = [value(i) for i in model.outputs]
    nodes.append(Node("MODEL_OUTPUT", outputs, outputs[0], {}, ""))
    return Graph(nodes, value(model.inputs[0]), outputs[0]), tensor_of


def _weights(model: Model, operator: Operator) -> dict:
    """What a layer's kernel needs; nothing for an operator that is no such layer."""
    if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return {}
    x, filter_ = (model.tensors[i] for i in operator.inputs[:2])
    bias = model.tensors[operator.inputs[2]] if operator.inputs[2:] not in ((), (-1,)) else None
    fixed = filter_.data is not None and (bias is None or bias.data is not None)
    if x.dtype != np.int8 or not fixed or filter_.zero_point.any() or x.shape[0] != 1:
        return {}
    return {
        "weights": filter_.data,
        "weight_scales": filter_.scale.astype(np.float64),
        "bias": None if bias is None else bias.data.ravel(),
    }


def _absorb_shuffles(graph: Graph) -> None:
    for node in list(graph.nodes):
        if node.kind != "DY_SHIFT_MAX":
            continue
        after = graph.only_consumer(node.output)
        if after is None or not is_channel_gather(after) or after.output.shape != node.output.shape:
            continue
        node.attributes["source"] = node.attributes["source"][after.attributes["constant"].ravel()]
        node.output = after.output
        graph.nodes.remove(after)


def _coefficient_layers(graph: Graph) -> list[Node]:
    """The dense layers before the coefficients of every DY_SHIFT_MAX, and those before them."""
    found = []
    values = [v for node in graph.nodes if node.kind == "DY_SHIFT_MAX" for v in node.inputs[1:]]
    while values:
        node = graph.producer(values.pop())
        if node is None or node in found or node.kind not in ("FULLY_CONNECTED", "RESHAPE"):
            continue
        values += node.inputs[:1]
        if "weights" in node.attributes:
            found.append(node)
    return found


def _operator_index(node: Node) -> int:
    return int(node.label.split()[1])
