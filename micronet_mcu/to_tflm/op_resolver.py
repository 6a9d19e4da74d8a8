"""The op resolver that a model needs, as a C++ header: exactly the operators of the flatbuffer."""

from __future__ import annotations

import os
from pathlib import Path

from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing
from micronet_mcu.graph.kernels import CUSTOM_OPS
from micronet_mcu.graph.ops import OPS
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_tflm.fused_ops import CUSTOM_NAME

# Custom operators: the function of tflm/micronet that adds them, and its header.
_CUSTOM = {
    name: (
        f"Add{name.removeprefix('MicroNet')}",
        "dy_shift_max_op.h" if name == CUSTOM_NAME else "kernel_ops.h",
    )
    for name in CUSTOM_OPS
}


def operators_of(model: bytes) -> list[str]:
    """The distinct operators of a model, sorted: builtin names, and names of custom operators.

    Raises:
        UserError: the model is not usable, or keeps something from run to run.
    """
    parsed = read_model(model)
    if parsed.states:
        raise UserError(f"{parsed.name}: recurrent state is supported by compiled C only")
    return sorted({o.title for o in parsed.operators})


def op_resolver_header(model: bytes) -> str:
    """The text of ``op_resolver.h``: a C++17 header that defines `micronet::OpResolver` and
    `micronet::RegisterOps`.

    Args:
        model: bytes of a ``.tflite`` file.

    Raises:
        UserError: the model is not usable, or has an operator that no resolver here knows.
    """
    names = operators_of(model)
    calls = []
    includes = {'#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"'}
    for name in names:
        if name in _CUSTOM:
            function, header = _CUSTOM[name]
            calls.append(f"{function}(resolver)")
            includes.add(f'#include "{header}"')
        elif name in OPS:
            calls.append(f"resolver.{OPS[name].resolver}()")
        else:
            known = ", ".join([*sorted(OPS), *_CUSTOM])
            raise UserError(f"operator {name} cannot be registered; known are {known}")
    body = " &&\n         ".join(f"{call} == kTfLiteOk" for call in calls)
    includes.add('#include "tflm_names.h"')
    return f"""\
// The operators of one model, and no others. Generated from the flatbuffer.
#ifndef MICRONET_OP_RESOLVER_H_
#define MICRONET_OP_RESOLVER_H_

{chr(10).join(sorted(includes))}

namespace micronet {{

using OpResolver = tflite::MicroMutableOpResolver<{len(names)}>;

// Returns false when the resolver is full: when it was given twice.
inline bool RegisterOps(OpResolver& resolver) {{
  return {body};
}}

}}  // namespace micronet

#endif  // MICRONET_OP_RESOLVER_H_
"""


def write_op_resolver(path: str | os.PathLike, model: bytes) -> Path:
    """Writes `op_resolver_header` to `path`.

    Raises:
        UserError: as `op_resolver_header`, or the file cannot be written.

    Example:

    >>> write_op_resolver("op_resolver.h", flatbuffer).read_text().count("AddConv2D()")
    1
    """
    text = op_resolver_header(model)
    with replacing(path) as temporary:
        temporary.write_text(text)
    return Path(path)
