"""The C kernels in Python: compiled for this machine, prepared for as micronet_kernels.h says."""

import ctypes as c
import functools
import math
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from paths import TFLM

from micronet_mcu.graph import kernels, structs

KERNELS = TFLM / "kernels"
SOURCES = sorted(KERNELS.glob("*/*.c"))
INCLUDE = KERNELS / "include"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror"]


@functools.cache
def library(reference: bool) -> c.CDLL:
    """The kernels: the reference forms, or the Armv7E-M forms on portable C."""
    folder = Path(tempfile.mkdtemp())
    path = folder / "kernels.so"
    define = f"-DMICRONET_REFERENCE={int(reference)}"
    command = ["gcc", *WARNINGS, "-O2", "-fPIC", "-shared", define, f"-I{INCLUDE}"]
    command += [*map(str, SOURCES), "-o", str(path)]
    subprocess.run(command, check=True, timeout=120)
    return c.CDLL(str(path))


# The parameter structs, from the table that the C header is made of.
Channel = structs.structure(structs.CHANNEL)
Conv = structs.structure(structs.CONV)
ConvPlain = structs.structure(structs.CONV_PLAIN)
Grouped = structs.structure(structs.CONV2D_GROUPED_1X1)
Dense = structs.structure(structs.FULLY_CONNECTED)
Coefficient = structs.structure(structs.COEFFICIENT)
DyShiftMax = structs.structure(structs.DYSHIFTMAX)
Pool = structs.structure(structs.POOL)
Binary = structs.structure(structs.BINARY)
Mul = structs.structure(structs.MUL)
Add = structs.structure(structs.ADD)
Softmax = structs.structure(structs.SOFTMAX)
Pad = structs.structure(structs.PAD)


def pointer(array: np.ndarray | None):
    return None if array is None else array.ctypes.data


def call(name: str, reference: bool, params, *arguments) -> None:
    """Calls micronet_<name>(&params, arguments...); arrays are passed as pointers. A kernel that
    refuses fails the test."""
    plain = [
        c.c_void_p(a.ctypes.data)
        if isinstance(a, np.ndarray)
        else c.c_void_p(None)
        if a is None
        else a
        for a in arguments
    ]
    status = getattr(library(reference), f"micronet_{name}")(c.byref(params), *plain)
    assert status == 0 or not kernels.kernel(name).refuses


def scratch(size: int) -> np.ndarray:
    return np.zeros(size // 8 + 1, np.int64)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """TensorFlow Lite's (multiplier, shift) of a positive real number."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def rounded(acc: int, multiplier: int, shift: int) -> int:
    """acc * multiplier * 2^(shift - 31) by TensorFlow Lite's two roundings."""
    y = (acc * 2 ** max(shift, 0) * multiplier + 2**30) >> 31
    right = max(-shift, 0)
    if right:
        half = 1 << (right - 1)
        y = (y + half) >> right if y >= 0 else -((-y + half) >> right)
    return y


def requantize(acc: int, multiplier: int, shift: int, zero_point: int) -> int:
    """TensorFlow Lite's output of an accumulator, exactly, before clamping to the activation."""
    return min(127, max(-128, rounded(acc, multiplier, shift) + zero_point))


def record(bias, row, multiplier, shift, zero_point):
    """A channel record by micronet_kernels.h, the row of weights that goes with it, or None."""
    reach = 255 * int(np.abs(row.astype(np.int64)).sum())
    r = -shift
    if multiplier and 1 <= r <= 22 and 2 * (abs(bias) + reach) < 2**31:
        offset = zero_point * 2**r + 2 ** (r - 1)
        return Channel(2 * bias, multiplier, offset, r), row
    least = requantize(bias - reach, multiplier, shift, zero_point)
    if least == requantize(bias + reach, multiplier, shift, zero_point):
        return Channel(0, 0, 2 * least + 1, 1), np.zeros_like(row)
    return None


def prepare(rows, bias, multipliers, shifts, zero_point):
    """Records of all channels and their rows of weights; None if a channel needs the plain form."""
    made = [
        record(int(b), row, m, s, zero_point)
        for row, b, m, s in zip(rows, bias, multipliers, shifts, strict=True)
    ]
    if any(one is None for one in made):
        return None
    return (Channel * len(made))(*[one[0] for one in made]), np.stack([one[1] for one in made])


def add_params(plain: Binary) -> tuple[Add, np.ndarray] | None:
    """The fast ADD's parameters and table; None where its output does not fit a record.

    Input 1 must be the one of the larger scale.
    """
    shift = -plain.out_shift
    if not plain.out_multiplier or not 1 <= shift <= 22:
        return None
    scaled = [
        rounded((q - plain.in2_zero_point) * 2**20, plain.in2_multiplier, plain.in2_shift)
        for q in range(-128, 128)
    ]
    table = 2 * np.array(scaled, np.int64) - plain.in1_zero_point * 2**20
    table = table.astype(np.int32)
    offset = plain.output_zero_point * 2**shift + 2 ** (shift - 1)
    params = Add(
        count=plain.count, in1_count=plain.in1_count, in2_count=plain.in2_count,
        multiplier=plain.out_multiplier, offset=offset, shift=shift,
        clamp_min=plain.clamp_min, clamp_max=plain.clamp_max, table=pointer(table),
    )  # fmt: skip
    return params, table


def mul_params(plain: Binary) -> Mul | None:
    """The fast MUL's parameters; None where its output does not fit a record."""
    shift = -plain.out_shift
    if not 1 <= shift <= 22:
        return None
    return Mul(
        count=plain.count, in1_count=plain.in1_count, in2_count=plain.in2_count,
        in1_zero_point=plain.in1_zero_point, in2_zero_point=plain.in2_zero_point,
        clamp_min=plain.clamp_min, clamp_max=plain.clamp_max,
        multiplier=plain.out_multiplier, shift=shift,
        offset=plain.output_zero_point * 2**shift + 2 ** (shift - 1),
    )  # fmt: skip


def grouped_weights(rows: np.ndarray) -> np.ndarray:
    """doubled_weights of the grouped kernel from int8 [out_c, inputs of a group]."""
    padded = np.zeros((rows.shape[0], -(-rows.shape[1] // 4) * 4), np.int16)
    padded[:, : rows.shape[1]] = 2 * rows.astype(np.int16)
    ordered = padded.reshape(len(rows), -1, 4)[:, :, [0, 2, 1, 3]]
    return np.ascontiguousarray(ordered.reshape(padded.shape))
