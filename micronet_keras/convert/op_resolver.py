"""The op resolver that a model needs, as a C++ header: exactly the operators of the flatbuffer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from micronet_keras.convert.flatbuffer import read_model
from micronet_keras.convert.fuse import CUSTOM_NAME
from micronet_keras.errors import UserError
from micronet_keras.files import replacing

# Methods of tflite::MicroMutableOpResolver.
_ADD = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEQUANTIZE": "AddDequantize",
    "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected",
    "GATHER": "AddGather",
    "HARD_SWISH": "AddHardSwish",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MAXIMUM": "AddMaximum",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "MUL": "AddMul",
    "PACK": "AddPack",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "PRELU": "AddPrelu",
    "QUANTIZE": "AddQuantize",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "RESIZE_BILINEAR": "AddResizeBilinear",
    "RESIZE_NEAREST_NEIGHBOR": "AddResizeNearestNeighbor",
    "SLICE": "AddSlice",
    "SOFTMAX": "AddSoftmax",
    "SPLIT": "AddSplit",
    "SPLIT_V": "AddSplitV",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
    "TRANSPOSE_CONV": "AddTransposeConv",
    "UNPACK": "AddUnpack",
}
# Operators that tflm/micronet can run by this project's kernels, and the functions that register them.
OUR_KERNELS = {
    "CONV_2D": "RegisterConv2D",
    "DEPTHWISE_CONV_2D": "RegisterDepthwiseConv2D",
}


def operators_of(model: bytes) -> list[str]:
    """The distinct operators of a model, sorted: builtin names, and names of custom operators."""
    parsed = read_model(model)
    return sorted({o.custom_name or o.name for o in parsed.operators})


def op_resolver_header(model: bytes, our_kernels: Iterable[str] = ()) -> str:
    """The text of ``op_resolver.h``.

    Args:
        model: bytes of a ``.tflite`` file.
        our_kernels: builtin operators that run by this project's kernels instead of TFLM's; those
            of `OUR_KERNELS` are possible. Operators that the model has not are ignored.

    Returns:
        A C++17 header that defines `micronet::OpResolver` and `micronet::RegisterOps`.

    Raises:
        UserError: the model is not usable, or has an operator that no resolver here knows.
    """
    ours = set(our_kernels)
    if ours - set(OUR_KERNELS):
        unknown = ", ".join(sorted(ours - set(OUR_KERNELS)))
        raise UserError(f"no kernel here for {unknown}; there is one for {', '.join(OUR_KERNELS)}")
    names = operators_of(model)
    calls = []
    includes = ['#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"']
    for name in names:
        if name == CUSTOM_NAME:
            calls.append("AddDYShiftMax(resolver)")
            includes.append('#include "dy_shift_max_op.h"')
        elif name not in _ADD:
            raise UserError(
                f"operator {name} cannot be registered; known are {', '.join(_ADD)}, {CUSTOM_NAME}"
            )
        elif name in ours:
            calls.append(f"resolver.{_ADD[name]}({OUR_KERNELS[name]}())")
            includes.append('#include "convolution_ops.h"')
        else:
            calls.append(f"resolver.{_ADD[name]}()")
    body = " &&\n         ".join(f"{call} == kTfLiteOk" for call in calls)
    return f"""\
// The operators of one model, and no others. Generated from the flatbuffer.
#ifndef MICRONET_OP_RESOLVER_H_
#define MICRONET_OP_RESOLVER_H_

{chr(10).join(sorted(set(includes)))}

namespace micronet {{

using OpResolver = tflite::MicroMutableOpResolver<{len(names)}>;

// Returns false when the resolver is full, which it cannot be unless it is given twice.
inline bool RegisterOps(OpResolver& resolver) {{
  return {body};
}}

}}  // namespace micronet

#endif  // MICRONET_OP_RESOLVER_H_
"""


def write_op_resolver(
    path: str | os.PathLike, model: bytes, our_kernels: Iterable[str] = ()
) -> Path:
    """Writes `op_resolver_header` to `path`.

    Raises:
        UserError: as `op_resolver_header`, or the file cannot be written.

    Example:

    >>> write_op_resolver("op_resolver.h", Path("model.tflite").read_bytes())
    """
    text = op_resolver_header(model, our_kernels)
    with replacing(path) as temporary:
        temporary.write_text(text)
    return Path(path)
