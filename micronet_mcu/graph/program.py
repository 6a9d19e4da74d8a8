"""What compiled code consists of: steps, each one call of a kernel, and constants."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from micronet_mcu.graph.kernels import Kernel
from micronet_mcu.graph.structs import Struct
from micronet_mcu.graph.value import Value

# Bytes of a number. A micronet_channel is four int32.
ELEMENT_BYTES = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "float": 4,
                 "micronet_channel": 4}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Array:
    """A constant array in flash; a row of four `values` is one micronet_channel."""

    ctype: str
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Params:
    """A constant struct in flash.

    Attributes:
        struct: its type.
        values: of every member: an int, an Array, None (NULL), or a tuple of tuples of ints for an
            array of structs.

    Raises:
        ValueError: a member has no value, or there is a value for none.
    """

    struct: Struct
    values: Mapping[str, object]

    def __post_init__(self) -> None:
        members = [name for name, _ in self.struct.members()]
        if set(members) != set(self.values):
            odd = sorted(set(members) ^ set(self.values))
            raise ValueError(f"Values must be those of {self.struct.name}. Received: {odd} amiss")


@dataclass(frozen=True, eq=False)
class Pointers:
    """An array of pointers to activations, or to nothing."""

    values: tuple[Value | None, ...]


class Room(Enum):
    """The scratch memory of the call: where it lies, and how many bytes there are."""

    PLACE = "place"
    BYTES = "bytes"


Ref = Value | Array | Params | Pointers | Room | Kernel | int | float


@dataclass(frozen=True)
class Scratch:
    """Memory that a call needs beside its inputs and its output.

    Attributes:
        bytes: how many.
        macro: how micronet_kernels.h states them; the C checks that they agree.
        unit: above 0 for a kernel that is the faster the more multiples of it there are, and the
            fastest when it need not work in place.
        most: the bytes up to which a kernel is the faster the more there are (one that can do with
            0 bytes is the faster with all of them only); at most `bytes` for one that makes no use
            of more.
    """

    bytes: int
    macro: str
    unit: int = 0
    most: int = 0


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a kernel.

    Attributes:
        kernel: the function.
        params: what its first argument points to, where it takes a struct.
        args: the further arguments.
        scratch: what `Room` stands for; None is NULL and 0.
    """

    kernel: Kernel
    params: Params | None
    args: tuple[Ref, ...]
    scratch: Scratch | None = None

    def kernels(self) -> list[Kernel]:
        """Its own kernel and those that it hands over."""
        return [self.kernel, *(ref for ref in self.args if isinstance(ref, Kernel))]


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a program.

    Attributes:
        name: the layer's.
        operator: what it stands for, as "operator 14 CONV_2D".
        call: what it does.
        inputs, output: the activations that it reads and writes.
        in_place: it may write over its (equally large) input.
        lag: for a kernel that works from the first row to the last: how many bytes `output` must
            begin below the input at least, so that nothing is overwritten before it is read; None
            if the two must not overlap.
        macs: multiply-accumulates.
        rows: so many rows of the output at a time, where it is done in bands.
    """

    name: str
    operator: str
    call: Call
    inputs: tuple[Value, ...]
    output: Value
    in_place: bool = False
    lag: int | None = None
    macs: int = 0
    rows: int | None = None

    @property
    def kernel(self) -> Kernel:
        """What does the work: not micronet_in_bands, but what that calls."""
        first, *handed = self.call.kernels()
        return handed[0] if first.name == "micronet_in_bands" else first

    @property
    def scratch_bytes(self) -> int:
        """What it needs beside the activations."""
        return self.call.scratch.bytes if self.call.scratch else 0
