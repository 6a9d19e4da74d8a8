"""DY-ShiftMax as one custom operator of the flatbuffer, which the C kernel runs.

The operator is called ``MicroNetDYShiftMax``. Inputs: x [1, H, W, C], then a1, b1 and, with two
branches, a2, b2 of C values each; one output of x's shape; all int8. Its ``custom_options`` are the
bytes of a micronet_dyshiftmax_shape (`tflm/kernels/include/micronet_params.h`), little-endian; then
uint16[C] shift; then, if the output's channels are permuted, uint16[C] source.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from micronet_mcu.graph.graph import Graph, Node
from micronet_mcu.graph.ops.conv_2d import Conv2D
from micronet_mcu.graph.ops.depthwise_conv_2d import DepthwiseConv2D
from micronet_mcu.graph.ops.dy_shift_max import DYShiftMax
from micronet_mcu.graph.ops.fully_connected import FullyConnected
from micronet_mcu.graph.ops.reshape import Reshape
from micronet_mcu.graph.passes.dy_shift_max import fuse_dy_shift_max
from micronet_mcu.graph.passes.gathers import absorb_shuffles
from micronet_mcu.graph.passes.zero_taps import cut_zero_taps
from micronet_mcu.graph.read import partial_graph_of, read_model
from micronet_mcu.graph.structs import DYSHIFTMAX, structure
from micronet_mcu.tflite.rewrite import operator_code, pack, unpack
from micronet_mcu.to_tflm.kernel_ops import kernel_operator, kernel_step

CUSTOM_NAME = "MicroNetDYShiftMax"
LAYERS = ("none", "coefficients", "all")
_LAYERS = Conv2D | DepthwiseConv2D | FullyConnected
_SHAPE = structure(DYSHIFTMAX.shape)


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
    graph = absorb_shuffles(fuse_dy_shift_max(partial_graph_of(parsed)))
    on_kernels = _coefficient_layers(graph) if layers == "coefficients" else set()
    if layers == "all":
        graph = cut_zero_taps(graph)
        on_kernels = {node for node in graph.nodes if isinstance(node, _LAYERS)}

    objects = unpack(model)
    subgraph = objects.subgraphs[0]
    original = list(subgraph.operators)
    subgraph.operators = []
    for node in graph.nodes:
        step = kernel_step(node) if node in on_kernels else None
        if isinstance(node, DYShiftMax):
            made = _dy_shift_max_operator(objects, node)
        elif step is not None:
            made = kernel_operator(objects, step, node.inputs[0].tensor, node.output.tensor)
        else:
            (index,) = node.operators
            made = original[index]
        subgraph.operators.append(made)
    return pack(objects)


def _dy_shift_max_operator(objects: schema.ModelT, node: DYShiftMax) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(objects, "CUSTOM", CUSTOM_NAME)
    operator.inputs = [value.tensor for value in node.inputs]
    operator.outputs = [node.output.tensor]
    operator.customOptions = np.frombuffer(custom_options(node), np.uint8)
    return operator


def custom_options(node: DYShiftMax) -> bytes:
    """The operator's ``custom_options``."""
    tables = (node.shift, node.source) if node.permutes else (node.shift,)
    return bytes(_SHAPE(**node.numbers())) + b"".join(t.astype("<u2").tobytes() for t in tables)


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
    shape = _SHAPE.from_buffer_copy(options)
    tables = np.frombuffer(options[ctypes.sizeof(_SHAPE) :], "<u2").astype(np.int64)
    shift, *source = tables.reshape(-1, shape.channels)
    used = shape.coefficient[: 2 * shape.branches]
    return CustomOptions(
        shape.branches,
        shape.input_zero_point,
        shape.output_zero_point,
        tuple(one.multiplier for one in used),
        tuple(one.zero_point for one in used),
        shift,
        source[0] if source else np.arange(shape.channels),
    )


def _coefficient_layers(graph: Graph) -> set[Node]:
    """The dense layers before the coefficients of every DY-ShiftMax, and those before them."""
    found = set()
    values = [v for node in graph.nodes if isinstance(node, DYShiftMax) for v in node.inputs[1:]]
    while values:
        node = graph.producer(values.pop())
        if node not in found and isinstance(node, FullyConnected | Reshape):
            values += node.inputs
            found.add(node)
    return {node for node in found if isinstance(node, FullyConnected)}
