"""An int8 flatbuffer as C source: the array and all that firmware wants to know about it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micronet_mcu import csource
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing
from micronet_mcu.graph.read import read_model
from micronet_mcu.image_input import ImageInput
from micronet_mcu.tflite.model import Tensor
from micronet_mcu.tflite.reader import flatbuffer_bytes


def write_c_array(
    folder: str | os.PathLike,
    model: Any,
    arena_bytes: int,
    test_input: np.ndarray,
    test_output: np.ndarray,
    class_names: Sequence[str] = (),
    name: str = "model",
) -> tuple[Path, Path]:
    """Writes ``<name>_data.h`` and ``<name>_data.cc`` into `folder`.

    They hold the flatbuffer (aligned to 16 bytes), shapes, scales and zero points of input and
    outputs, the labels, the arena size, and one test vector. Both compile as C11 and as C++11. The
    constants of a second output and of further ones are called <NAME>_OUTPUT1_... and so on; the
    test vector answers for the first.

    Args:
        folder: where the two files go; created when missing, existing ones are replaced.
        model: a ``.tflite`` file, or its bytes, with one int8 input and int8 outputs.
        arena_bytes: what TFLM needs, see `micronet_mcu.to_tflm.measure_arena`.
        test_input, test_output: int8, what TFLM answers to that image.
        class_names: what the last axis of the (first) output means; none, or one for each place.
        name: a C identifier, prefix of every name in the files.

    Returns:
        The paths of the header and of the source.

    Raises:
        UserError: the model is damaged or not int8, the number of labels or the size of the test
            vector does not match, `name` is no identifier, or the files cannot be written.
    """
    csource.check_prefix(name, "name of the C arrays")
    model = flatbuffer_bytes(model)
    parsed = read_model(model)
    source = parsed.tensors[parsed.inputs[0]]
    targets = [parsed.tensors[index] for index in parsed.outputs]
    target = targets[0]
    for tensor in (source, *targets):
        if tensor.dtype != np.int8 or len(tensor.scale) != 1:
            raise UserError(
                f"tensor {tensor.name!r} is {tensor.dtype}; quantize the model to int8 first"
            )
    for tensor, vector in ((source, test_input), (target, test_output)):
        if vector.size != tensor.size:
            raise UserError(f"the test vector has {vector.size} values, the model {tensor.size}")
    if class_names and len(class_names) != target.shape[-1]:
        raise UserError(
            f"{len(class_names)} labels for {target.shape[-1]} outputs; give one for each"
        )
    header, code = Path(folder, f"{name}_data.h"), Path(folder, f"{name}_data.cc")
    with replacing(header) as temporary:
        temporary.write_text(_header(name, model, arena_bytes, source, targets, class_names))
    with replacing(code) as temporary:
        temporary.write_text(_code(name, model, test_input, test_output, class_names))
    return header, code


def _header(name, model, arena_bytes, source, targets, class_names) -> str:
    upper = name.upper()
    outputs = "\n".join(
        _describe(f"{upper}_OUTPUT{i or ''}", target) for i, target in enumerate(targets)
    )
    guard = f"{upper}_DATA_H_"
    return f"""\
// The model {name!r}: a TensorFlow Lite flatbuffer and what firmware needs to run it.
// Real value = scale * (stored - zero point). The image, row by row:
// {ImageInput(source).describe()}.
#ifndef {guard}
#define {guard}

#include <stdint.h>

#define {upper}_DATA_SIZE {len(model)}
// As TensorFlow Lite Micro reported it on a 64-bit host; a 32-bit board needs less.
#define {upper}_ARENA_SIZE {arena_bytes}

{_describe(upper + "_INPUT", source)}
{outputs}
// 0 when the labels are not known.
#define {upper}_LABEL_COUNT {len(class_names)}

#ifdef __cplusplus
extern "C" {{
#endif

extern const uint8_t {name}_data[{upper}_DATA_SIZE];
{example_declarations(name, class_names)}
#ifdef __cplusplus
}}
#endif

#endif  // {guard}
"""


def _describe(prefix: str, tensor: Tensor) -> str:
    sizes = ", ".join(map(str, tensor.shape))
    lines = [
        f"#define {prefix}_SIZE {tensor.size}",
        f"#define {prefix}_RANK {len(tensor.shape)}",
        f"#define {prefix}_SHAPE {{{sizes}}}",
        f"#define {prefix}_SCALE {csource.floating(tensor.scale[0])}",
        f"#define {prefix}_ZERO_POINT {csource.signed(int(tensor.zero_point[0]))}",
    ]
    return "\n".join(lines) + "\n"


def _code(name, model, test_input, test_output, class_names) -> str:
    array = csource.array(
        f"alignas(16) const uint8_t {name}_data[{name.upper()}_DATA_SIZE]",
        np.frombuffer(model, np.uint8),
    )
    return f"""\
// The arrays declared in {name}_data.h.
#include "{name}_data.h"

#ifndef __cplusplus
#include <stdalign.h>
#endif

{array}
{example_arrays(name, test_input, test_output, class_names)}"""


def example_arrays(
    name: str, test_input: np.ndarray, test_output: np.ndarray, class_names: Sequence[str]
) -> str:
    """Definitions of the labels and of the test vector, for C11 and C++11."""
    upper = name.upper()
    labels = ",\n    ".join(map(csource.string, class_names)) or "0"
    start = f"alignas(16) const int8_t {name}_test"
    vectors = [
        csource.array(f"{start}_input[{upper}_INPUT_SIZE]", test_input),
        csource.array(f"{start}_output[{upper}_OUTPUT_SIZE]", test_output),
    ]
    return f"""\
const char* const {name}_labels[{max(1, len(class_names))}] = {{
    {labels},
}};

{chr(10).join(vectors)}"""


def example_declarations(name: str, class_names: Sequence[str]) -> str:
    """Declarations of what `example_arrays` defines."""
    upper = name.upper()
    return f"""\
extern const char* const {name}_labels[{max(1, len(class_names))}];
// One image and the model's answer to it.
extern const int8_t {name}_test_input[{upper}_INPUT_SIZE];
extern const int8_t {name}_test_output[{upper}_OUTPUT_SIZE];
"""
