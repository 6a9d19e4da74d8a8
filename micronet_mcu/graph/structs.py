"""The parameter structs of the C kernels, written once.

From here come `tflm/kernels/include/micronet_params.h` (see `params_header`), the initialisers in
compiled models, the options of the custom operators for TFLM, and the structures by which Python
calls the kernels.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Field:
    """Members of one type.

    Attributes:
        ctype: a C type, or the name of a struct of this module.
        names: of the members.
        comment: what C readers are told; "" for nothing.
        count: above 0 for an array of so many.
    """

    ctype: str
    names: tuple[str, ...]
    comment: str = ""
    count: int = 0

    @property
    def is_pointer(self) -> bool:
        return self.ctype.endswith("*")


@dataclass(frozen=True)
class Struct:
    """A struct of C. One with pointers begins with a struct of its numbers, called `shape`: these
    bytes are the options of a custom operator.

    Attributes:
        name: in C; "..._params" where there are pointers.
        fields: numbers first, then pointers.
        comment: what C readers are told.
    """

    name: str
    fields: tuple[Field, ...]
    comment: str

    @property
    def shape(self) -> "Struct | None":
        """The struct of its numbers; None where there are no pointers."""
        if not self.pointers:
            return None
        numbers = tuple(field for field in self.fields if not field.is_pointer)
        return Struct(f"{self.name.removesuffix('_params')}_shape", numbers, "Its numbers.")

    @property
    def pointers(self) -> tuple[Field, ...]:
        """Those of its fields that are pointers."""
        return tuple(field for field in self.fields if field.is_pointer)

    def members(self) -> Iterator[tuple[str, Field]]:
        """(name, field) of every number and every pointer."""
        for field in self.fields:
            for name in field.names:
                yield name, field


def _field(ctype: str, names: str, comment: str = "", count: int = 0) -> Field:
    return Field(ctype, tuple(names.split()), comment, count)


_CLAMPS = _field("int8_t", "clamp_min clamp_max")
_MAPS = (
    _field("int16_t", "in_h in_w in_c"),
    _field("int16_t", "out_h out_w out_c"),
    _field("int16_t", "kernel_h kernel_w"),
    _field("int16_t", "stride_h stride_w"),
)

CHANNEL = Struct(
    "micronet_channel",
    (_field("int32_t", "doubled_bias multiplier offset shift"),),
    "The record of an output channel: see REQUANTIZATION in micronet_kernels.h.",
)

CONV = Struct(
    "micronet_conv_params",
    (
        *_MAPS,
        _field("int16_t", "pad_top pad_left"),
        _field("int16_t", "input_zero_point"),
        _CLAMPS,
        _field("const int8_t *", "weights", "the layout of the flatbuffer (see each kernel)"),
        _field("const micronet_channel *", "channels", "out_c records"),
        _field("const uint16_t *", "source", "only read by the depthwise kernels; may be NULL"),
    ),
    "A convolution whose channels have records.",
)

CONV_PLAIN = Struct(
    "micronet_conv_plain_params",
    (
        *_MAPS,
        _field("int16_t", "dilation_h dilation_w"),
        _field("int16_t", "pad_top pad_left"),
        _field("int16_t", "groups"),
        _field("int16_t", "input_zero_point output_zero_point"),
        _CLAMPS,
        _field("const int8_t *", "weights"),
        _field("const int32_t *", "bias", "may be NULL"),
        _field("const int32_t *", "multiplier", "one per output channel"),
        _field("const int8_t *", "shift", "TensorFlow Lite's, positive to the left"),
    ),
    "A convolution with the numbers of the flatbuffer as they are.",
)

DEPTHWISE_WIDE = Struct(
    "micronet_depthwise_wide_params",
    (
        _field("int16_t", "count output_zero_point"),
        _field("const uint16_t *", "channel", "`count` of them, rising"),
        _field("const int8_t *", "weights", "[count][kernel_h][kernel_w]"),
        _field("const int32_t *", "bias multiplier"),
        _field("const int8_t *", "shift", "TensorFlow Lite's, positive to the left"),
    ),
    "Output channels whose scales do not fit into a record, with numbers as in the flatbuffer.",
)

CONV2D_GROUPED_1X1 = Struct(
    "micronet_conv2d_grouped_1x1_params",
    (
        _field("int32_t", "pixels"),
        _field("int16_t", "in_c out_c groups"),
        _field("int16_t", "input_zero_point"),
        _CLAMPS,
        _field("const int16_t *", "doubled_weights", "in fours, see the kernel"),
        _field("const micronet_channel *", "channels", "out_c records"),
    ),
    "A 1x1 convolution with groups.",
)

FULLY_CONNECTED = Struct(
    "micronet_fully_connected_params",
    (
        _field("int16_t", "in_c out_c"),
        _field("int16_t", "input_zero_point"),
        _CLAMPS,
        _field("int32_t", "multiplier offset shift", "a record's, of all outputs"),
        _field("const int8_t *", "weights", "[out_c][in_c]"),
        _field("const int32_t *", "doubled_bias", "2 * bias of every output"),
    ),
    "A dense layer with one scale.",
)

COEFFICIENT = Struct(
    "micronet_coefficient",
    (_field("int32_t", "multiplier zero_point"),),
    "How a coefficient of Dynamic Shift-Max is widened, see micronet_dyshiftmax.",
)

DYSHIFTMAX = Struct(
    "micronet_dyshiftmax_params",
    (
        _field("int32_t", "pixels"),
        _field("int16_t", "channels"),
        _field("int16_t", "branches", "1 or 2"),
        _field("int16_t", "input_zero_point output_zero_point"),
        _field("micronet_coefficient", "coefficient", "of a1, b1, a2, b2", 4),
        _field("const uint16_t *", "shift", "`channels` entries"),
        _field("const uint16_t *", "source", "`channels` entries, or NULL"),
    ),
    "Dynamic Shift-Max.",
)

POOL = Struct(
    "micronet_pool_params",
    (
        _field("int16_t", "in_h in_w channels"),
        _field("int16_t", "out_h out_w"),
        _field("int16_t", "kernel_h kernel_w"),
        _field("int16_t", "stride_h stride_w"),
        _field("int16_t", "pad_top pad_left"),
        _CLAMPS,
    ),
    "A pool over windows.",
)

MEAN = Struct(
    "micronet_mean_params",
    (
        _field("int32_t", "pixels channels"),
        _field("int32_t", "input_offset multiplier"),
        _field("int16_t", "shift output_zero_point"),
    ),
    "The mean of a map, with scales of its own.",
)

RESIZE_BILINEAR = Struct(
    "micronet_resize_bilinear_params",
    (
        _field("int16_t", "in_h in_w channels"),
        _field("int16_t", "out_h out_w"),
        _field("int32_t", "step_h step_w start_h start_w", "in 1/1024 rows and columns"),
    ),
    "Bilinear resizing.",
)

ADD = Struct(
    "micronet_add_params",
    (
        _field("int32_t", "count in1_count in2_count"),
        _field("int32_t", "multiplier offset shift", "a record's"),
        _CLAMPS,
        _field("const int32_t *", "table", "256 values, see the kernel"),
    ),
    "A sum whose output fits a record.",
)

MUL = Struct(
    "micronet_mul_params",
    (
        _field("int32_t", "count in1_count in2_count"),
        _field("int16_t", "in1_zero_point in2_zero_point"),
        _CLAMPS,
        _field("int32_t", "multiplier offset shift", "a record's"),
    ),
    "A product whose output fits a record.",
)

BINARY = Struct(
    "micronet_binary_params",
    (
        _field("int32_t", "count in1_count in2_count"),
        _field("int16_t", "in1_zero_point in2_zero_point output_zero_point"),
        _CLAMPS,
        _field("int32_t", "in1_multiplier in2_multiplier out_multiplier"),
        _field("int8_t", "in1_shift in2_shift out_shift"),
    ),
    "A product or a sum of any scales.",
)

SOFTMAX = Struct(
    "micronet_softmax_params",
    (
        _field("int32_t", "rows depth"),
        _field("int32_t", "input_multiplier input_left_shift diff_min"),
    ),
    "Softmax over the last axis.",
)

PAD = Struct(
    "micronet_pad_params",
    (
        _field("int16_t", "in_h in_w in_c"),
        _field("int16_t", "top bottom left right"),
        _field("int16_t", "front back", "channels"),
        _field("int8_t", "value"),
    ),
    "Padding of height, width and channels.",
)

MOVE = Struct(
    "micronet_move_params",
    (
        _field("int32_t", "start"),
        _field("int32_t", "size", "of the axes, the last one fastest", 6),
        _field("int32_t", "step", "in the input, along each axis", 6),
    ),
    "The output's values as steps through the input.",
)

STRUCTS = {
    struct.name: struct
    for struct in (
        CHANNEL, CONV, CONV_PLAIN, DEPTHWISE_WIDE, CONV2D_GROUPED_1X1, FULLY_CONNECTED,
        COEFFICIENT, DYSHIFTMAX, POOL, MEAN, RESIZE_BILINEAR, ADD, MUL, BINARY, SOFTMAX, PAD,
        MOVE,
    )
}  # fmt: skip

_CTYPES = {
    "int8_t": ctypes.c_int8,
    "int16_t": ctypes.c_int16,
    "uint16_t": ctypes.c_uint16,
    "int32_t": ctypes.c_int32,
}


@cache
def structure(struct: Struct) -> type[ctypes.Structure]:
    """The struct as ctypes has it on this machine; pointers are `c_void_p`. The members of `shape`
    may be named as if they were the struct's own.

    Example:

    >>> params = structure(CONV)(in_h=8, clamp_max=127)
    >>> params.shape.in_h, ctypes.sizeof(params.shape)
    (8, 28)
    """
    if struct.shape is None:
        members = [(name, _ctype(field)) for name, field in struct.members()]
        return type(struct.name, (ctypes.Structure,), {"_fields_": members})
    members = [("shape", structure(struct.shape))]
    members += [(name, ctypes.c_void_p) for field in struct.pointers for name in field.names]
    body = {"_anonymous_": ("shape",), "_fields_": members}
    return type(struct.name, (ctypes.Structure,), body)


def _ctype(field: Field) -> Any:
    if field.is_pointer:
        return ctypes.c_void_p
    one = _CTYPES.get(field.ctype) or structure(STRUCTS[field.ctype])
    return one * field.count if field.count else one
