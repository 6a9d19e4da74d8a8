"""Int8 flatbuffers of one operator, and TF Lite Micro's answer to them."""

from dataclasses import dataclass

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tflite_micro.python.tflite_micro import runtime

TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


@dataclass
class Tensor:
    """A tensor of the graph; `data` makes it a constant. `axis` is that of per-channel scales."""

    shape: tuple
    scales: object = None
    zero_point: int = 0
    data: np.ndarray | None = None
    axis: int = 0


def run(operator, options, inputs, output, feeds, version=1, custom=None):
    """Runs one operator on TF Lite Micro.

    Args:
        operator: a value of schema.BuiltinOperator.
        options: the operator's options object (schema.Conv2DOptionsT, ...), or None.
        inputs: Tensors; those without data are fed, in order.
        output: the Tensor of the result.
        feeds: arrays for the inputs without data.

    Returns:
        The int8 result.
    """
    model = _model(operator, options, inputs, output, version)
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    for index, value in enumerate(feeds):
        interpreter.set_input(np.ascontiguousarray(value), index)
    interpreter.invoke()
    return interpreter.get_output(0)


def _model(operator, options, inputs, output, version):
    model = schema.ModelT()
    model.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = operator
    code.deprecatedBuiltinCode = min(operator, 127)
    code.version = version
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(model, tensor) for tensor in (*inputs, output)]
    op = schema.OperatorT()
    op.opcodeIndex = 0
    op.inputs = list(range(len(inputs)))
    op.outputs = [len(inputs)]
    if options is not None:
        op.builtinOptions = options
        name = type(options).__name__.removesuffix("T")
        op.builtinOptionsType = getattr(schema.BuiltinOptions, name)
    graph.operators = [op]
    graph.inputs = [i for i, tensor in enumerate(inputs) if tensor.data is None]
    graph.outputs = [len(inputs)]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(model, tensor):
    result = schema.TensorT()
    result.shape = list(tensor.shape)
    result.type = TYPES[np.dtype(np.int8) if tensor.data is None else tensor.data.dtype]
    result.buffer = 0
    result.name = f"t{len(model.buffers)}_{id(tensor)}"
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(tensor.data.tobytes(), np.uint8)
        model.buffers.append(buffer)
        result.buffer = len(model.buffers) - 1
    if tensor.scales is not None:
        scales = np.atleast_1d(np.asarray(tensor.scales, np.float32))
        result.quantization = schema.QuantizationParametersT()
        result.quantization.scale = scales
        result.quantization.zeroPoint = np.full(len(scales), tensor.zero_point, np.int64)
        result.quantization.quantizedDimension = tensor.axis
    return result
