"""Changing a flatbuffer: the object form of the schema, packed again so that boards can read it."""

from __future__ import annotations

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from micronet_mcu.tflite.reader import parse_model

ModelT, OperatorT = schema.ModelT, schema.OperatorT

# What converters align weights to. Python's packing keeps 4 bytes, and a board that reads its
# flash in place may fault on less than an operator expects.
_ALIGNMENT = 16


class _AlignedBuffer(schema.BufferT):
    def Pack(self, builder: flatbuffers.Builder) -> int:
        data = None
        if self.data is not None and len(self.data):
            raw = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(raw), _ALIGNMENT)
            builder.head -= len(raw)
            builder.Bytes[builder.head : builder.head + len(raw)] = raw
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def unpack(model: bytes) -> schema.ModelT:
    """The model as mutable objects, after `parse_model` has checked their structure.

    Raises:
        UserError: not a usable ``.tflite`` file.
    """
    parse_model(model)
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def pack(model: schema.ModelT) -> bytes:
    """The model as a flatbuffer, without the tensors, buffers and operator codes that nothing uses.

    Weights are aligned to 16 bytes. The structure of the result is checked again.
    """
    _prune(model)
    for i, entry in enumerate(model.buffers):
        model.buffers[i] = _AlignedBuffer(**vars(entry))
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    packed = bytes(builder.Output())
    parse_model(packed)
    return packed


def operator_code(model: schema.ModelT, name: str, custom: str | None = None) -> int:
    """The index of an operator code, added when the model has none such yet."""
    builtin = getattr(schema.BuiltinOperator, name)
    text = custom.encode() if custom else None
    for i, entry in enumerate(model.operatorCodes):
        if max(entry.builtinCode, entry.deprecatedBuiltinCode) == builtin and (
            entry.customCode in (text, custom)
        ):
            return i
    entry = schema.OperatorCodeT()
    entry.builtinCode, entry.deprecatedBuiltinCode = builtin, min(builtin, 127)
    entry.version, entry.customCode = 1, text
    model.operatorCodes.append(entry)
    return len(model.operatorCodes) - 1


def constant(model: schema.ModelT, values: np.ndarray) -> int:
    """Adds a buffer that holds `values`; returns its index."""
    entry = schema.BufferT()
    entry.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    model.buffers.append(entry)
    return len(model.buffers) - 1


_TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
}


def add_tensor(
    model: schema.ModelT, name: str, shape: tuple[int, ...], dtype: type, buffer: int = 0
) -> int:
    """Adds a tensor without quantization; returns its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name.encode(), np.array(shape, np.int32), buffer
    tensor.type = _TYPES[np.dtype(dtype)]
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _prune(model: schema.ModelT) -> None:
    graph = model.subgraphs[0]
    used = {int(i) for i in (*graph.inputs, *graph.outputs)}
    for operator in graph.operators:
        used |= {int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0}
    new = {old: i for i, old in enumerate(sorted(used))}
    graph.tensors = [graph.tensors[i] for i in new]
    for owner in (graph, *graph.operators):
        owner.inputs = [new.get(int(i), -1) for i in owner.inputs]
        owner.outputs = [new[int(i)] for i in owner.outputs]
    for signature in model.signatureDefs or []:
        for entry in (*(signature.inputs or []), *(signature.outputs or [])):
            entry.tensorIndex = new[entry.tensorIndex]

    # Buffer 0 means "no data" and stays.
    metadata = model.metadata or []
    kept = sorted({0, *(t.buffer for t in graph.tensors), *(m.buffer for m in metadata)})
    new = {old: i for i, old in enumerate(kept)}
    model.buffers = [model.buffers[i] for i in kept]
    for owner in (*graph.tensors, *metadata):
        owner.buffer = new[owner.buffer]
    if model.metadataBuffer is not None:
        model.metadataBuffer = [new[i] for i in model.metadataBuffer if i in new]

    codes = sorted({operator.opcodeIndex for operator in graph.operators})
    new = {old: i for i, old in enumerate(codes)}
    model.operatorCodes = [model.operatorCodes[i] for i in codes]
    for operator in graph.operators:
        operator.opcodeIndex = new[operator.opcodeIndex]
