"""Runs a planned program in Python, kernel by kernel, without building its C."""

import ctypes as c

import kernel_library as k
import numpy as np

from micronet_mcu.graph import structs
from micronet_mcu.graph.kernels import Kernel
from micronet_mcu.graph.program import Array, Params, Pointers, Room
from micronet_mcu.graph.read import read_model
from micronet_mcu.graph.value import Value
from micronet_mcu.to_c import plan

_DTYPES = {"int8_t": np.int8, "uint16_t": np.uint16, "int16_t": np.int16, "int32_t": np.int32}


def run(flatbuffer, inputs, reference=False, **options):
    """The outputs, each an array of its type and shape, for one array an input."""
    program = plan(read_model(flatbuffer), **options)
    return run_program(program, inputs, reference)


def run_program(program, inputs, reference=False):
    """As `run`, of what `plan` made."""
    return _Run(program, k.library(reference)).outputs(inputs)


def run_one_after_the_other(flatbuffer, several, reference=False, **options):
    """The outputs of each of several runs, which keep the model's state."""
    one = _Run(plan(read_model(flatbuffer), **options), k.library(reference))
    return [one.outputs(inputs) for inputs in several]


class _Run:
    def __init__(self, program, library):
        self.program, self.library = program, library
        self.arena = np.full(program.arena.plan.size // 8 + 1, 0x5A5A5A5A5A5A5A5A, np.int64)
        self.kept = []
        self.states = [one.initial for one in program.kept]

    def outputs(self, inputs):
        for end, values in zip(self.program.inputs, inputs, strict=True):
            self.bytes_of(end.value)[:] = np.ascontiguousarray(values).ravel().view(np.int8)
        for one, state in zip(self.program.kept, self.states, strict=True):
            self.bytes_of(one.before)[:] = state
        for index, step in enumerate(self.program.steps):
            self.index, self.step = index, step
            params = [step.call.params] if step.call.params else []
            arguments = [self.argument(ref) for ref in (*params, *step.call.args)]
            status = getattr(self.library, step.call.kernel.name)(*arguments)
            assert status == 0 or not step.call.kernel.refuses
        self.states = [self.bytes_of(one.after).copy() for one in self.program.kept]
        values = [end.value for end in self.program.outputs]
        return [self.bytes_of(v).view(v.dtype).reshape(v.shape).copy() for v in values]

    def bytes_of(self, value):
        offset = self.program.arena.offset(value)
        return self.arena.view(np.int8)[offset : offset + value.nbytes]

    def argument(self, ref):
        match ref:
            case Value() | Array():
                return c.c_void_p(self.address(ref))
            case Params():
                return c.byref(self.struct(ref))
            case Pointers():
                self.kept.append((c.c_void_p * len(ref.values))(*map(self.address, ref.values)))
                return self.kept[-1]
            case Room.PLACE:
                return c.c_void_p(self.scratch())
            case Room.BYTES:
                return c.c_size_t(self.step.scratch_bytes)
            case Kernel():
                return c.cast(getattr(self.library, ref.name), c.c_void_p)
            case float():
                return c.c_float(ref)
        return c.c_int32(ref)

    def scratch(self):
        if not self.step.scratch_bytes:
            return None
        return self.arena.ctypes.data + self.program.arena.scratch_offset(self.index)

    def address(self, ref):
        if ref is None:
            return None
        if isinstance(ref, Value) and ref.data is None:
            return self.arena.ctypes.data + self.program.arena.offset(ref)
        values = ref.data if isinstance(ref, Value) else ref.values
        dtype = np.int8 if isinstance(ref, Value) else _DTYPES.get(ref.ctype, np.int32)
        array = np.ascontiguousarray(values).astype(dtype)
        self.kept.append(array)
        return array.ctypes.data

    def struct(self, params):
        made = structs.structure(params.struct)()
        self.kept.append(made)
        for name, field in params.struct.members():
            value = params.values[name]
            if field.is_pointer:
                value = self.address(value)
            elif field.count:
                value = type(getattr(made, name))(*value)
            setattr(made, name, value)
        return made
