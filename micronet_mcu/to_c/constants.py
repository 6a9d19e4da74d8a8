"""The constants of a program as C: `<name>_weights.c` and the header that declares them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from micronet_mcu import csource
from micronet_mcu.csource import unique_identifiers
from micronet_mcu.graph.program import ELEMENT_BYTES, Array, Params, Scratch


@dataclass(eq=False)
class Constants:
    """Each constant is written once, named after the first step that uses it.

    Attributes:
        prefix: of all names.
        definitions: C, in an order in which it compiles.
        declarations: of what other files may use.
        bytes: of the arrays.
        names: of all, in the order of the definitions.
    """

    prefix: str
    definitions: list[str] = field(default_factory=list)
    declarations: list[str] = field(default_factory=list)
    bytes: int = 0
    names: list[str] = field(default_factory=list)
    _known: dict[tuple, str] = field(default_factory=dict)
    _shared: set[str] = field(default_factory=set)

    def array(self, array: Array, name: str, shared: bool = True) -> str:
        """The name of an array; of `name` if there is none like it. Others use a `shared` one."""
        kind = np.float32 if array.ctype == "float" else np.int64
        values = np.ascontiguousarray(array.values, kind)
        key = (array.ctype, values.shape, values.tobytes(), shared)
        if key not in self._known:
            full = self._add(key, name)
            self.bytes += -(-values.size * ELEMENT_BYTES[array.ctype] // 4) * 4
            if array.ctype == "micronet_channel":
                items = ["{" + ", ".join(map(str, row)) + "}" for row in values.tolist()]
            elif array.ctype == "float":
                items = [csource.floating(value) for value in values.ravel().tolist()]
            else:
                items = csource.numbers(values)
            declaration = f"const {array.ctype} {full}[{len(items)}]"
            if shared:
                self.declarations.append(f"extern {declaration};")
            start = "ALIGNED " if shared else "static ALIGNED "
            self.definitions.append(f"{start}{declaration} = {{\n{csource.wrapped(items)}\n}};\n")
        return self._known[key]

    def params(self, params: Params, name: str) -> str:
        """The name of a parameter struct."""
        items = self._initialisers(params, name)
        key = (params.struct.name, *items)
        if key not in self._known:
            declaration = f"const {params.struct.name} {self._add(key, name)}"
            self.declarations.append(f"extern {declaration};")
            self.definitions.append(f"{declaration} = {{\n{csource.wrapped(items)}\n}};\n")
        return self._known[key]

    def _add(self, key: tuple, name: str) -> str:
        full = unique_identifiers([f"{self.prefix}_{name}"], self.names)[0]
        self._known[key] = full
        self.names.append(full)
        return full

    def _initialisers(self, params: Params, name: str) -> list[str]:
        values, shape = params.values, params.struct.shape
        if shape is None:
            return [f".{m} = {self._value(values[m], '')}" for m, _ in params.struct.members()]
        numbers = [f".{m} = {self._value(values[m], '')}" for m, _ in shape.members()]
        pointers = [
            f".{m} = {self._value(values[m], f'{name}_{m}')}"
            for m, f in params.struct.members()
            if f.is_pointer
        ]
        return [f".shape = {{{', '.join(numbers)}}}", *pointers]

    def _value(self, value: object, name: str) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, Array):
            return self.array(value, name, shared=False)
        if isinstance(value, tuple):
            return "{" + ", ".join(self._value(v, name) for v in value) + "}"
        assert isinstance(value, int | np.integer)
        return csource.integer(int(value))


def weights_source(constants: Constants, origin: str, scratches: Iterable[Scratch]) -> str:
    """The text of `<name>_weights.c`, which also checks that `scratches` are what kernels want."""
    body = "\n".join(constants.definitions)
    checks = sorted({f"{scratch.macro} <= {scratch.bytes}" for scratch in scratches})
    typedefs = "\n".join(
        f"typedef char scratch_{i}[{check} ? 1 : -1];" for i, check in enumerate(checks)
    )
    return f"""/* Weights and parameters of an int8 network; {constants.prefix}.c uses them.
 * Made by micronet-mcu from {csource.comment_text(origin)}. Do not edit. */
#include "{constants.prefix}_weights.h"

#include <stddef.h>

/* Kernels read several values at once. */
#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(4)))
#else
#define ALIGNED
#endif

/* The kernels ask for no more scratch memory than was planned. */
{typedefs}

{body}"""


def weights_header(constants: Constants, origin: str, places: dict[str, int]) -> str:
    """The text of `<name>_weights.h`; `places` are names and offsets of what lies in the arena."""
    guard = f"{constants.prefix.upper()}_WEIGHTS_H_"
    body = "\n".join(constants.declarations)
    offsets = "\n".join(f"  AT_{name} = {offset}," for name, offset in places.items())
    return f"""/* For {constants.prefix}.c alone: a network's parameters, and places in its arena.
 * Made by micronet-mcu from {csource.comment_text(origin)}. Do not edit. */
#ifndef {guard}
#define {guard}

#include <stdint.h>

#include "micronet_kernels.h"

/* Offsets in the arena of every layer's output, and of scratch memory. What is not needed at the
 * same time shares a place. */
enum {{
{offsets}
}};

{body}

#endif /* {guard} */
"""
