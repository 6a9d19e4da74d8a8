"""What compiled code consists of: constants, and steps that are calls of kernels."""

from dataclasses import dataclass, field

import numpy as np

from micronet_mcu.graph.graph import Value

# Bytes of an element. A micronet_channel is four int32.
ELEMENT_BYTES = {"int8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "micronet_channel": 4}


@dataclass(frozen=True, eq=False)
class Array:
    """A constant array in flash."""

    ctype: str
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Struct:
    """A constant struct in flash: field -> int, Array, None (NULL) or list of braces."""

    ctype: str
    fields: dict


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a kernel.

    Attributes:
        kernel: the C function.
        arguments: what it is called with: Struct or Array (constant), Value (a place in the arena),
            int, "scratch", "scratch_bytes", another kernel's name, or a list of Values (an array of
            pointers).
        inputs, output: the activations that it reads and writes.
        scratch: bytes that it needs beside them.
        scratch_macro: how micronet_kernels.h states them; the C checks that they agree.
        scratch_unit: not 0 for a kernel that is the faster the more multiples of it `scratch` is,
            and the fastest when it need not work in place.
        in_place: it may write over its (equally large) input.
        lag: for a kernel that works from the first row to the last: how many bytes `output` must
            begin below the input at least, so that nothing is overwritten before it is read; None
            if the two must not overlap.
        macs: multiply-accumulates.
    """

    kernel: str
    label: str
    arguments: list
    inputs: list[Value]
    output: Value
    scratch: int = 0
    scratch_macro: str = ""
    scratch_unit: int = 0
    in_place: bool = False
    lag: int | None = None
    macs: int = 0
    notes: list[str] = field(default_factory=list)

    def functions(self) -> set[str]:
        """The kernels that it needs: its own and those that it hands over."""
        names = {a for a in self.arguments if isinstance(a, str) and a.startswith("micronet_")}
        return {self.kernel, *names}
