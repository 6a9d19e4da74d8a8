"""Writes a planned program as C: `<name>.h`, `<name>.c` and its constants."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from micronet_mcu import csource
from micronet_mcu.graph.kernels import Kernel
from micronet_mcu.graph.program import Array, Params, Pointers, Ref, Room, Step
from micronet_mcu.graph.value import Value
from micronet_mcu.to_c.constants import Constants, weights_header, weights_source
from micronet_mcu.to_c.program import Program


@dataclass(frozen=True)
class Source:
    """The C of a program.

    Attributes:
        files: the text of each, by its name.
        constant_bytes: of the arrays of constants.
        step_constants: for every step the names of the constants that no step before it has used.
    """

    files: dict[str, str]
    constant_bytes: int
    step_constants: list[list[str]]


def source(program: Program, name: str, expected: np.ndarray | None) -> Source:
    """Writes `<name>.h`, `<name>.c`, `<name>_weights.h` and `<name>_weights.c`.

    Args:
        program: what to write.
        name: prefix of the symbols and of the files.
        expected: the output for the self-test's input; None writes zeros (to find it out).
    """
    constants = Constants(name)
    places = Places(program)
    calls, step_constants = [], []
    for index, step in enumerate(program.steps):
        before = len(constants.names)
        calls += [_title(step, index, name), _call(step, index, places, constants)]
        step_constants.append(constants.names[before:])
    wanted = np.zeros(program.output.size, np.int8) if expected is None else expected
    constants.array(Array("int8_t", wanted), "selftest_output")
    scratches = [step.call.scratch for step in program.steps if step.call.scratch]
    origin = program.origin
    files = {
        f"{name}.h": header(program, name),
        f"{name}.c": _program(program, name, places, calls),
        f"{name}_weights.h": weights_header(constants, origin, places.offsets()),
        f"{name}_weights.c": weights_source(constants, origin, scratches),
    }
    return Source(files, constants.bytes, step_constants)


def selftest_input(size: int) -> np.ndarray:
    """The input that the self-test makes."""
    noise, values = 1, np.empty(size, np.int8)
    for i in range(size):
        noise = (noise * 1664525 + 1013904223) & 0xFFFFFFFF
        values[i] = (noise >> 24) - 128
    return values


def header(program: Program, name: str) -> str:
    """The text of `<name>.h`: sizes, quantization, the functions."""
    upper = name.upper()
    tensors = "\n".join(
        _describe(f"{upper}_{what}", value)
        for what, value in (("INPUT", program.input), ("OUTPUT", program.output))
    )
    return f"""/* An int8 network compiled to C: its sizes and functions.
 * Made by micronet-mcu from {csource.comment_text(program.origin)}. Do not edit.
 *
 * real input = {upper}_INPUT_SCALE * (in[i] - {upper}_INPUT_ZERO_POINT), NHWC, one image;
 * real output = {upper}_OUTPUT_SCALE * (out[i] - {upper}_OUTPUT_ZERO_POINT).
 */
#ifndef {upper}_H_
#define {upper}_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

{tensors}
#define {upper}_CLASSES {program.output.channels}
/* Bytes of static memory; there is no other but the stack. */
#define {upper}_ARENA_SIZE {program.arena.plan.size}
#define {upper}_STEPS {len(program.steps)}

/* Where the input lies in the arena: {upper}_INPUT_SIZE bytes. A camera may write here, which saves
 * a second buffer. Running the network overwrites it. */
int8_t *{name}_input(void);

/* Where the output lies in the arena: {upper}_OUTPUT_SIZE bytes, valid until the next input. */
const int8_t *{name}_output(void);

/* Runs the network once. `in` is copied into the arena unless it is NULL (the input is there
 * already) or {name}_input(); `out` gets a copy of the output unless it is NULL. Not reentrant: the
 * arena is static. Returns 0; anything else if a kernel refused its parameters, which only happens
 * when the kernels are not those that came with this file: then the output has no meaning. */
int {name}_invoke(const int8_t *in, int8_t *out);

/* Runs the network on a pseudo-random image and compares with the output that was computed when it
 * was compiled. Returns 0 if all agree, else 1 + the index of the first output that differs, or -1
 * if the network did not run. */
int {name}_selftest(void);

#ifdef __cplusplus
}}
#endif
#endif /* {upper}_H_ */
"""


def _describe(prefix: str, value: Value) -> str:
    sizes = {"SIZE": str(value.size)}
    if len(value.shape) == 4:
        axes = zip(("HEIGHT", "WIDTH", "CHANNELS"), value.shape[1:], strict=True)
        sizes |= {axis: str(size) for axis, size in axes}
    sizes["SCALE"] = csource.floating(value.scale)
    sizes["ZERO_POINT"] = csource.signed(value.zero_point)
    return "\n".join(f"#define {prefix}_{what} {text}" for what, text in sizes.items())


class Places:
    """Names for the offsets in the arena: of the input, of every step's output and scratch."""

    def __init__(self, program: Program):
        self.identifiers = program.identifiers()
        self._arena, steps = program.arena, program.steps
        scratch = [i for i, step in enumerate(steps) if step.scratch_bytes]
        named = ["input", *self.identifiers, *(f"{self.identifiers[i]} scratch" for i in scratch)]
        first, *others = (text.upper() for text in csource.unique_identifiers(named))
        self._values = {id(program.input.root): (first, program.input)}
        for step, text in zip(steps, others[: len(steps)], strict=True):
            self._values[id(step.output.root)] = (text, step.output)
        self._scratch = dict(zip(scratch, others[len(steps) :], strict=True))

    def value(self, value: Value) -> str:
        """C for the address of an activation."""
        return f"AT({self._values[id(value.root)][0]})"

    def scratch(self, index: int) -> str:
        """C for the address of a step's scratch memory."""
        return f"AT({self._scratch[index]})" if index in self._scratch else "NULL"

    def offsets(self) -> dict[str, int]:
        """The offset of every name."""
        found = {name: self._arena.offset(value) for name, value in self._values.values()}
        return found | {name: self._arena.scratch_offset(i) for i, name in self._scratch.items()}


def _title(step: Step, index: int, name: str) -> str:
    shape = "x".join(map(str, step.output.shape[1:]))
    macs = f", {step.macs} MACs" if step.macs else ""
    text = f"{step.name}: {step.operator}, {shape}, {step.output.size} bytes{macs}"
    start = f"  {name.upper()}_STEP({index}); /* "
    lines = textwrap.wrap(csource.comment_text(text), csource.LINE - len(start) - 3)
    return start + f"\n{' ' * (len(start) - 3)} * ".join(lines) + " */"


def _call(step: Step, index: int, places: Places, constants: Constants) -> str:
    name, call = places.identifiers[index], step.call

    def text(ref: Ref) -> str:
        match ref:
            case Params():
                which = ref.struct.name.removeprefix("micronet_")
                return "&" + constants.params(ref, f"{name}_{which}")
            case Array():
                return constants.array(ref, f"{name}_table")
            case Value():
                return places.value(ref)
            case Pointers():
                values = ["NULL" if v is None else places.value(v) for v in ref.values]
                return f"(const int8_t *const[]){{{', '.join(values)}}}"
            case Room.BYTES:
                return str(step.scratch_bytes)
            case Room.PLACE:
                return places.scratch(index)
            case Kernel():
                return ref.name
        return str(ref)

    arguments = ["&" + constants.params(call.params, name)] if call.params else []
    arguments += [text(ref) for ref in call.args]
    statement = f"{call.kernel.name}({', '.join(arguments)})"
    if call.kernel.refuses:
        statement = f"refused |= {statement}"
    statement = _wrapped(f"{statement};")
    # What is made for one call shall not take stack for longer.
    made = any(isinstance(ref, Pointers) for ref in call.args)
    return f"  {{\n  {statement}\n  }}" if made else statement


def _wrapped(statement: str) -> str:
    """A statement on lines of at most 100 columns, broken behind commas."""
    first, *parts = statement.split(", ")
    lines, line = [], f"  {first}"
    for part in parts:
        if len(line) + len(part) + 3 > csource.LINE:
            lines.append(f"{line},")
            line = f"      {part}"
        else:
            line += f", {part}"
    return "\n".join([*lines, line])


def _program(program: Program, name: str, places: Places, calls: list[str]) -> str:
    upper = name.upper()
    body = "\n".join(calls)
    refuses = any(step.call.kernel.refuses for step in program.steps)
    declared = "  micronet_status refused = MICRONET_OK;\n" if refuses else ""
    result = "refused" if refuses else "0"
    return f"""/* An int8 network compiled to C: a call of a kernel for every layer.
 * Made by micronet-mcu from {csource.comment_text(program.origin)}. Do not edit.
 *
 * Compile it with {name}_weights.c and the kernels, the micronet_*.c beside it; of several models,
 * with the kernels of all of them once (files of one name are the same). */
#include "{name}.h"

#include <stddef.h>
#include <string.h>

#include "{name}_weights.h"

/* Called before every step and after the last one; define it to watch or to time the network. */
#ifndef {upper}_STEP
#define {upper}_STEP(index)
#endif

static union {{
  int64_t alignment;
  int8_t bytes[{upper}_ARENA_SIZE];
}} arena;

#define AT(layer) (arena.bytes + AT_##layer)

int8_t *{name}_input(void) {{ return {places.value(program.input)}; }}

const int8_t *{name}_output(void) {{ return {places.value(program.output)}; }}

int {name}_invoke(const int8_t *in, int8_t *out) {{
{declared}  if (in != NULL && in != {name}_input()) memcpy({name}_input(), in, {upper}_INPUT_SIZE);
{body}
  {upper}_STEP({len(program.steps)});
  if (out != NULL) memcpy(out, {name}_output(), {upper}_OUTPUT_SIZE);
  return {result};
}}

int {name}_selftest(void) {{
  int8_t *in = {name}_input();
  uint32_t noise = 1;
  for (int32_t i = 0; i < {upper}_INPUT_SIZE; ++i) {{
    noise = noise * 1664525u + 1013904223u;
    in[i] = (int8_t)((int)(noise >> 24) - 128);
  }}
  if ({name}_invoke(NULL, NULL) != 0) return -1;
  for (int32_t i = 0; i < {upper}_OUTPUT_SIZE; ++i) {{
    if ({name}_output()[i] != {name}_selftest_output[i]) return 1 + i;
  }}
  return 0;
}}
"""
