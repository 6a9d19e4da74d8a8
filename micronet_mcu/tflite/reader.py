"""The only reader of `.tflite` flatbuffers: from untrusted bytes to plain dataclasses.

The schema classes are those that ship with the pinned `tflite_micro` wheel: the schema by which the
deployed interpreter itself reads, there without importing TensorFlow (0.2 s instead of 8 s).

The C++ runtimes follow offsets without checking them, and a bad file crashes the process. The
Python flatbuffers library has no verifier, so this module is one: whatever TF Lite Micro would
follow is followed here first, with every length charged to a budget of the file's own size.
"""

import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from micronet_mcu.errors import UserError
from micronet_mcu.tflite.model import Model, Operator, Tensor
from micronet_mcu.tflite.states import Misuse, initial_values, states_of

_IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3
_MAX_FILE_BYTES = 1 << 28
_MAX_TENSOR_BYTES = 1 << 28
_SMALLEST_SCALE, _LARGEST_SCALE = 1e-30, 1e15
_BYTES = (bytes, bytearray, memoryview)

# Metadata by which a file steers the interpreter's memory or decoding; a hostile one is dangerous.
_UNSAFE_METADATA = {"OfflineMemoryAllocation", "COMPRESSION_METADATA"}

# Operators that remember something from one run to the next, and are not taken.
_STATE = {
    "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN", "SVDF",
    "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
}  # fmt: skip

_DTYPES = {
    getattr(schema.TensorType, name): np.dtype(dtype)
    for name, dtype in [
        ("FLOAT32", "<f4"), ("FLOAT16", "<f2"), ("FLOAT64", "<f8"), ("BOOL", "?"),
        ("INT8", "i1"), ("INT16", "<i2"), ("INT32", "<i4"), ("INT64", "<i8"),
        ("UINT8", "u1"), ("UINT16", "<u2"), ("UINT32", "<u4"), ("UINT64", "<u8"),
        ("RESOURCE", "V4"),
    ]
}  # fmt: skip


def _names(enumeration: type) -> dict[int, str]:
    return {v: k for k, v in vars(enumeration).items() if not k.startswith("_")}


_OPERATOR_NAMES = _names(schema.BuiltinOperator)
_OPTION_TYPES = _names(schema.BuiltinOptions)
_TYPE_NAMES = _names(schema.TensorType)
_ENUMERATED_OPTIONS = {
    "padding": _names(schema.Padding),
    "fused_activation_function": _names(schema.ActivationFunctionType),
    "weights_format": _names(schema.FullyConnectedOptionsWeightsFormat),
}


class _Corrupt(Exception):
    """The file breaks a rule of the format; the message says which."""


def flatbuffer_bytes(source: Any) -> bytes:
    """The bytes of a flatbuffer in any form that people have it in.

    Args:
        source: a path, the bytes, what `read_model` returned, or anything with bytes in its
            attribute `flatbuffer`, as what `micronet_keras.deploy` returns.

    Raises:
        UserError: it is nothing of that, or there is no such file.

    Example:

    >>> flatbuffer_bytes("model.tflite") == Path("model.tflite").read_bytes()
    True
    """
    if isinstance(source, Model):
        return source.raw
    source = getattr(source, "flatbuffer", source)
    if isinstance(source, _BYTES):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return _load(Path(source))
    raise UserError(
        "a flatbuffer is the path of a .tflite file, or its bytes as micronet_keras.convert "
        f"returns them. Received: {type(source).__name__}"
    )


def parse_model(source: Any) -> Model:
    """Reads a `.tflite` file and checks its structure.

    Offsets and lengths lie inside the file, indices are in range, constants are as long as their
    shapes say, operators are in a runnable order. What operators demand of their tensors is not
    looked at: use `micronet_mcu.read_model` for a model that is to be run.

    Args:
        source: as of `flatbuffer_bytes`.

    Returns:
        The model as plain frozen dataclasses; constants are views of the bytes, not copies.

    Raises:
        UserError: no such file, not a TensorFlow Lite file, corrupt, truncated, or a feature that
            is not supported (several subgraphs, sparse or string tensors, recurrent state, ...).
    """
    name = source_name(source)
    raw = flatbuffer_bytes(source)
    try:
        return _Reader(raw, name).model()
    except _Beyond as problem:
        raise UserError(f"{name}: {problem}: not supported") from None
    except _Corrupt as problem:
        raise UserError(f"{name}: not a usable TensorFlow Lite model: {problem}") from None
    # What the flatbuffers runtime raises when an offset or a length leads out of the file.
    except (struct.error, ValueError, TypeError, IndexError, OverflowError) as problem:
        raise UserError(
            f"{name}: corrupt or truncated TensorFlow Lite model ({problem}); convert it again"
        ) from None


def source_name(source: Any) -> str:
    """What messages call it: the path, or "model"."""
    return str(source) if isinstance(source, str | os.PathLike) else "model"


def _load(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a .tflite file")
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise UserError(f"{path}: larger than {_MAX_FILE_BYTES >> 20} MiB, not for a board")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


class _Beyond(Exception):
    """A feature of sound files that nothing here supports; the message says which."""


class _Reader:
    """Walks the flatbuffer once. In an honest file no two vectors overlap, so the bytes of all
    vectors together stay below the file's size; a file that claims more is refused early."""

    def __init__(self, raw: bytes, name: str = "model"):
        self.raw, self.name = raw, name
        self.variables = 0
        self.budget = len(raw)

    def charge(self, count: int, what: str) -> int:
        self.budget -= count
        if self.budget < 0:
            raise _Corrupt(f"{what} is longer than the file")
        return count

    def tables(self, owner: Any, vector: str, what: str) -> Iterator[Any]:
        count = getattr(owner, vector + "Length")()
        # A table costs at least its entry in the vector and the offset to its vtable.
        self.charge(8 * count, what)
        get: Callable[[int], Any] = getattr(owner, vector)
        for i in range(count):
            yield get(i)

    def numbers(self, owner: Any, vector: str, what: str) -> np.ndarray:
        if getattr(owner, vector + "IsNone")():
            return np.zeros(0, np.int64)
        values = getattr(owner, vector + "AsNumpy")()
        self.charge(values.nbytes, what)
        return values

    def text(self, value: bytes | None, what: str) -> str:
        if value is None:
            return ""
        self.charge(len(value), what)
        return value.decode("utf-8", errors="replace")

    def model(self) -> Model:
        if len(self.raw) < 16 or self.raw[4:8] != _IDENTIFIER:
            raise _Corrupt(f"no {_IDENTIFIER.decode()} identifier")
        root = schema.Model.GetRootAs(self.raw, 0)
        if root.Version() != _SCHEMA_VERSION:
            raise _Corrupt(f"schema version {root.Version()} instead of {_SCHEMA_VERSION}")
        if root.SubgraphsLength() < 1:
            raise _Corrupt("no subgraph")
        if root.ExternalBuffersLength() or root.ExternalBufferGroupsLength():
            raise _Corrupt("weights in external files are not supported")
        description = self.text(root.Description(), "the description")
        buffers = [self.buffer(b) for b in self.tables(root, "Buffers", "the list of buffers")]
        for entry in self.tables(root, "Metadata", "the metadata"):
            if self.text(entry.Name(), "a metadata name") in _UNSAFE_METADATA:
                raise _Corrupt(f"metadata {entry.Name().decode()} is not supported")
        for signature in self.tables(root, "SignatureDefs", "the signatures"):
            self.charge(8 * (signature.InputsLength() + signature.OutputsLength()), "a signature")
        self.numbers(root, "MetadataBuffer", "the metadata")
        codes = [
            self.operator_code(c) for c in self.tables(root, "OperatorCodes", "the operator codes")
        ]
        state = sorted({name for name, _ in codes} & _STATE)
        several = root.SubgraphsLength() > 1 and "CALL_ONCE" not in {name for name, _ in codes}
        beyond = [f"{root.SubgraphsLength()} subgraphs"] if several else []
        if state:
            beyond.insert(0, f"recurrent state ({', '.join(state)})")
        if beyond:
            raise _Beyond(" and ".join(beyond))
        graph = root.Subgraphs(0)
        tensors, operators = self.subgraph(graph, codes, buffers)
        if self.variables:
            raise _Beyond(f"recurrent state ({self.variables} variable tensors)")
        outputs = self.indices(graph, "Outputs", len(tensors), "the model")
        initial = self.initial(root, operators, codes, buffers)
        try:
            operators, outputs, states = states_of(tensors, operators, outputs, initial)
        except Misuse as problem:
            raise _Beyond(f"recurrent state ({problem})") from None
        model = Model(
            tensors,
            operators,
            self.indices(graph, "Inputs", len(tensors), "the model"),
            outputs,
            description,
            len(self.raw),
            self.raw,
            self.name,
            states,
        )
        # The interpreter's wrapper unpacks all there is, also what is of no use here.
        schema.ModelT.InitFromObj(root)
        _check_order(model)
        return model

    def subgraph(
        self, graph: Any, codes: list[tuple[str, str | None]], buffers: list[np.ndarray]
    ) -> tuple[tuple[Tensor, ...], tuple[Operator, ...]]:
        tensors = tuple(
            self.tensor(i, t, buffers)
            for i, t in enumerate(self.tables(graph, "Tensors", "the list of tensors"))
        )
        operators = tuple(
            self.operator(i, o, codes, len(tensors))
            for i, o in enumerate(self.tables(graph, "Operators", "the list of operators"))
        )
        return tensors, operators

    def initial(
        self, root: Any, operators: tuple[Operator, ...], codes: list[tuple[str, str | None]],
        buffers: list[np.ndarray],
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """The initial values of variables, by name."""
        called = {o.options.get("init_subgraph_index") for o in operators if o.name == "CALL_ONCE"}
        if called != set(range(1, root.SubgraphsLength())):
            raise _Beyond(f"{root.SubgraphsLength()} subgraphs, not each of which is called once")
        found: dict[str, np.ndarray] = {}
        for index in sorted(called):
            graph = root.Subgraphs(index)
            try:
                found |= initial_values(*self.subgraph(graph, codes, buffers))
            except Misuse as problem:
                raise _Beyond(f"recurrent state ({problem})") from None
            self.numbers(graph, "Inputs", "the inputs of a subgraph")
            self.numbers(graph, "Outputs", "the outputs of a subgraph")
        return found

    def buffer(self, entry: Any) -> np.ndarray:
        if entry.Offset() > 1 or entry.Size() > 1:
            raise _Corrupt("buffers outside the flatbuffer are not supported")
        return self.numbers(entry, "Data", "a buffer").view(np.uint8)

    def operator_code(self, entry: Any) -> tuple[str, str | None]:
        # Old files store codes below 127 in the deprecated field only.
        code = max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode())
        if code not in _OPERATOR_NAMES:
            raise _Corrupt(f"unknown operator code {code}")
        name = _OPERATOR_NAMES[code]
        custom = self.text(entry.CustomCode(), "a custom operator's name")
        if name == "CUSTOM" and not custom:
            raise _Corrupt("a custom operator without a name")
        return name, custom if name == "CUSTOM" else None

    def indices(
        self, owner: Any, vector: str, count: int, what: str, least: int = 0
    ) -> tuple[int, ...]:
        values = self.numbers(owner, vector, f"the {vector.lower()} of {what}")
        if values.size and not (values.min() >= least and values.max() < count):
            raise _Corrupt(f"{vector.lower()} of {what} name a tensor that is not there")
        return tuple(int(v) for v in values)

    def operator(
        self, index: int, entry: Any, codes: list[tuple[str, str | None]], tensor_count: int
    ) -> Operator:
        what = f"operator {index}"
        if entry.OpcodeIndex() >= len(codes):
            raise _Corrupt(f"{what} has operator code {entry.OpcodeIndex()} of {len(codes)}")
        if entry.LargeCustomOptionsOffset() or entry.LargeCustomOptionsSize():
            raise _Corrupt(f"{what} has options outside the flatbuffer")
        if entry.BuiltinOptions2Type():
            raise _Corrupt(f"{what} has options of the second union, which are not supported")
        self.numbers(entry, "MutatingVariableInputs", what)
        self.numbers(entry, "Intermediates", what)
        name, custom = codes[entry.OpcodeIndex()]
        custom_options = self.numbers(entry, "CustomOptions", f"the options of {what}")
        return Operator(
            index,
            name,
            self.indices(entry, "Inputs", tensor_count, what, least=-1),
            self.indices(entry, "Outputs", tensor_count, what),
            MappingProxyType(self.options(entry, what)),
            custom,
            custom_options.astype(np.uint8).tobytes(),
        )

    def options(self, entry: Any, what: str) -> dict[str, Any]:
        kind = entry.BuiltinOptionsType()
        table = entry.BuiltinOptions()
        if kind == 0 or table is None:
            return {}
        if kind not in _OPTION_TYPES:
            raise _Corrupt(f"{what} has options of the unknown type {kind}")
        options = {"type": _OPTION_TYPES[kind]}
        for key, value in vars(schema.BuiltinOptionsCreator(kind, table)).items():
            key = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), key)
            if key in _ENUMERATED_OPTIONS:
                if value not in _ENUMERATED_OPTIONS[key]:
                    raise _Corrupt(f"{what} has {key} {value}")
                value = _ENUMERATED_OPTIONS[key][value]
            elif isinstance(value, np.ndarray):
                self.charge(value.nbytes, f"{key} of {what}")
            elif isinstance(value, bytes):
                self.charge(len(value), f"{key} of {what}")
            options[key] = value
        return options

    def tensor(self, index: int, entry: Any, buffers: list[np.ndarray]) -> Tensor:
        name = self.text(entry.Name(), "a tensor's name")
        what = f"tensor {index} {name!r}"
        if entry.Type() not in _DTYPES:
            kind = _TYPE_NAMES.get(entry.Type(), entry.Type())
            raise _Corrupt(f"{what} has type {kind}, which is not supported")
        dtype = _DTYPES[entry.Type()]
        self.variables += bool(entry.IsVariable())
        if entry.Sparsity() or entry.VariantTensorsLength():
            raise _Beyond(f"{what} is a sparse or variant tensor")
        if entry.ExternalBuffer():
            raise _Corrupt(f"{what} lies outside the flatbuffer")
        self.numbers(entry, "ShapeSignature", what)
        shape = tuple(int(size) for size in self.numbers(entry, "Shape", what))
        if any(size <= 0 for size in shape) or len(shape) > 8:
            raise _Corrupt(f"{what} has shape {list(shape[:9])}")
        nbytes = dtype.itemsize
        for size in shape:  # Python integers: no overflow
            nbytes *= size
        if nbytes > _MAX_TENSOR_BYTES:
            raise _Corrupt(f"{what} of shape {list(shape)} is larger than 256 MiB")
        if entry.Buffer() >= len(buffers):
            raise _Corrupt(f"{what} has buffer {entry.Buffer()} of {len(buffers)}")
        data = None
        stored = buffers[entry.Buffer()]
        if stored.size:
            if stored.size != nbytes:
                raise _Corrupt(f"{what} needs {nbytes} bytes, its buffer holds {stored.size}")
            data = stored.view(dtype).reshape(shape)
            data.flags.writeable = False
        scale, zero_point, axis = self.quantization(entry.Quantization(), shape, dtype, what)
        return Tensor(index, name, shape, dtype, scale, zero_point, axis, data)

    def quantization(
        self, entry: Any, shape: tuple[int, ...], dtype: np.dtype, what: str
    ) -> tuple[np.ndarray, np.ndarray, int]:
        none = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        if entry is None:
            return none
        if entry.DetailsType():
            raise _Corrupt(f"{what} has a custom quantization")
        self.numbers(entry, "Min", what)
        self.numbers(entry, "Max", what)
        scale = self.numbers(entry, "Scale", f"the scales of {what}")
        zero_point = self.numbers(entry, "ZeroPoint", f"the zero points of {what}")
        axis = entry.QuantizedDimension()
        if scale.size != zero_point.size:
            raise _Corrupt(f"{what} has {scale.size} scales and {zero_point.size} zero points")
        if not scale.size:
            return none
        if len(shape) == 1:
            axis = 0  # the axis that some converters store with a bias is that of its filter
        if scale.size > 1 and not (0 <= axis < len(shape) and scale.size == shape[axis]):
            raise _Corrupt(f"{what} of shape {list(shape)} has {scale.size} scales on axis {axis}")
        if not (np.all(np.isfinite(scale)) and np.all(scale >= 0)):
            raise _Corrupt(f"{what} has a scale that is negative or not finite")
        # Products and ratios of the scales that pass stay finite in single precision. A channel's
        # may be tiny (nothing is divided by it), and so may those of int32, which are products.
        is_step = dtype.itemsize < 4 and scale.size == 1
        if scale.max() > _LARGEST_SCALE or is_step and 0 < scale[0] < _SMALLEST_SCALE:
            raise _Corrupt(f"{what} has a scale of {scale.max():g}, beyond all measure")
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if zero_point.min() < limits.min or zero_point.max() > limits.max:
                raise _Corrupt(f"{what} has a zero point outside {dtype}")
        return scale, zero_point, axis


def _check_order(model: Model) -> None:
    """Every tensor is written once, and before it is read."""
    if not (model.inputs and model.outputs and model.operators):
        raise _Corrupt("no inputs, no outputs or no operators")
    if len(set(model.inputs)) != len(model.inputs):
        raise _Corrupt("a tensor is twice an input of the model")
    ready = {t.index for t in model.tensors if t.data is not None}
    if ready & set(model.inputs):
        raise _Corrupt("an input of the model is a constant")
    ready |= set(model.inputs) | {state.before for state in model.states}
    for operator in model.operators:
        what = model.shapes(operator)
        unknown = [i for i in operator.inputs if i >= 0 and i not in ready]
        if unknown:
            raise _Corrupt(f"{what} reads tensor {unknown[0]} before anything has written it")
        if not operator.outputs:
            raise _Corrupt(f"{what} has no output")
        for output in operator.outputs:
            if output in ready:
                raise _Corrupt(f"{what} writes tensor {output}, which has a value already")
            ready.add(output)
    if not {*model.outputs, *(state.after for state in model.states)} <= ready:
        raise _Corrupt("an output of the model is never written")
    if not set(model.outputs) <= {i for operator in model.operators for i in operator.outputs}:
        raise _Corrupt("an output of the model is no result of an operator")
