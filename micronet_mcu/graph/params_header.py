"""Writes the structs of `micronet_mcu.graph.structs` as a C header.

    python -m micronet_mcu.graph.params_header

renews `tflm/kernels/include/micronet_params.h`.
"""

from itertools import groupby

from micronet_mcu.c_sources import c_sources
from micronet_mcu.files import replacing
from micronet_mcu.graph.structs import STRUCTS, Field

_TOP = """\
/* The parameters of the kernels. What a kernel does with them is written in micronet_kernels.h.
 *
 * Made by `python -m micronet_mcu.graph.params_header` from micronet_mcu/graph/structs.py: change
 * that. A struct with pointers begins with one of its numbers, `shape`: these bytes, little-endian,
 * are the options of the kernel's custom operator for TensorFlow Lite Micro. */
#ifndef MICRONET_PARAMS_H_
#define MICRONET_PARAMS_H_

#include <stdint.h>
"""


def params_header() -> str:
    """The text of micronet_params.h."""
    parts = [_TOP]
    for struct in STRUCTS.values():
        parts.append(f"/* {struct.comment} */")
        if struct.shape is None:
            parts.append(_typedef(struct.name, struct.fields))
        else:
            parts.append(_typedef(struct.shape.name, struct.shape.fields))
            shape = Field(struct.shape.name, ("shape",))
            parts.append(_typedef(struct.name, (shape, *struct.pointers)))
    return "\n".join([*parts, "#endif /* MICRONET_PARAMS_H_ */", ""])


def _typedef(name: str, fields: tuple[Field, ...]) -> str:
    lines: list[str] = []
    for commented, group in groupby(fields, key=lambda field: bool(field.comment)):
        some = [(f"  {_declaration(field)};", field.comment) for field in group]
        width = max(len(line) for line, _ in some)
        lines += [f"{line:{width}} /* {text} */" if commented else line for line, text in some]
    return "\n".join(["typedef struct {", *lines, f"}} {name};", ""])


def _declaration(field: Field) -> str:
    if field.is_pointer:
        base = field.ctype.rstrip("* ")
        return f"{base} " + ", ".join(f"*{name}" for name in field.names)
    suffix = f"[{field.count}]" if field.count else ""
    return f"{field.ctype} " + ", ".join(f"{name}{suffix}" for name in field.names)


def main() -> None:
    with replacing(c_sources("kernels") / "include" / "micronet_params.h") as temporary:
        temporary.write_text(params_header(), encoding="utf-8")


if __name__ == "__main__":
    main()
