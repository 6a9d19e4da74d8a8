"""Writes a planned program as C: `model.h` and `model.c`."""

import textwrap
from dataclasses import dataclass

import numpy as np

from micronet_mcu.csource import comment_text
from micronet_mcu.graph.kernels import Kernel
from micronet_mcu.graph.program import ELEMENT_BYTES, Array, Params, Pointers, Ref, Room, Step
from micronet_mcu.graph.value import Value
from micronet_mcu.to_c.memory import Arena

_LINE = 100


@dataclass(frozen=True, eq=False)
class Program:
    """Steps, their places in the arena, the network's input and output, and for comments the name
    of the file that it was made from."""

    origin: str
    input: Value
    output: Value
    steps: list[Step]
    arena: Arena


@dataclass(frozen=True)
class Source:
    """`model.c`: its text, the bytes of its constant arrays, and for every step the names of the
    constants that no step before it has used."""

    text: str
    constant_bytes: int
    step_constants: list[list[str]]


class _Constants:
    """The constants of a program, each stored once, named after the first step that uses it."""

    def __init__(self):
        self.lines: list[str] = []
        self.bytes = 0
        self._known: dict[tuple, str] = {}

    @property
    def names(self) -> list[str]:
        return list(self._known.values())

    def array(self, array: Array, name: str) -> str:
        values = np.ascontiguousarray(array.values, np.int64)
        key = (array.ctype, values.shape, values.tobytes())
        if key not in self._known:
            self._known[key] = name
            if array.ctype == "micronet_channel":
                items = ["{" + ", ".join(map(str, row)) + "}" for row in values.tolist()]
            else:
                items = [_literal(v) for v in values.ravel().tolist()]
            self.lines += [f"static const {array.ctype} {name}[{len(items)}] MODEL_ALIGNED = {{"]
            self.lines += [*_wrapped(items), "};"]
            self.bytes += -(-values.size * ELEMENT_BYTES[array.ctype] // 4) * 4
        return self._known[key]

    def params(self, params: Params, name: str) -> str:
        ctype, shape = params.struct.name, params.struct.shape
        items = [
            f".{member} = {self._field(params.values[member], f'{name}_{member}')}"
            for member, field in params.struct.members()
            if shape is None or field.is_pointer
        ]
        if shape is not None:
            numbers = [
                f".{member} = {self._field(params.values[member], '')}"
                for member, _ in shape.members()
            ]
            items.insert(0, f".shape = {{{', '.join(numbers)}}}")
        key = (ctype, *items)
        if key not in self._known:
            self._known[key] = name
            self.lines += [f"static const {ctype} {name} = {{", *_wrapped(items), "};"]
        return "&" + self._known[key]

    def _field(self, value, name: str) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, Array):
            return self.array(value, name)
        if isinstance(value, tuple):
            return "{" + ", ".join(self._field(v, name) for v in value) + "}"
        return _literal(int(value))


def _literal(value: int) -> str:
    # -2147483648 is no int constant in C.
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)


def _wrapped(items: list[str]) -> list[str]:
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > _LINE:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return [*lines, line]


def header(program: Program, name: str) -> str:
    """The text of `model.h`: sizes, quantization, the functions."""
    upper = name.upper()
    source, target = program.input, program.output
    shape = source.shape
    extents = (
        f"#define {upper}_INPUT_HEIGHT {shape[1]}\n#define {upper}_INPUT_WIDTH {shape[2]}\n"
        f"#define {upper}_INPUT_CHANNELS {shape[3]}\n"
        if len(shape) == 4
        else ""
    )
    return f"""/* An int8 network compiled to C: its sizes and functions.
 * Made by micronet-keras from {comment_text(program.origin)}. Do not edit.
 *
 * real input = {upper}_INPUT_SCALE * (in[i] - {upper}_INPUT_ZERO_POINT), NHWC, one image;
 * real output = {upper}_OUTPUT_SCALE * (out[i] - {upper}_OUTPUT_ZERO_POINT).
 */
#ifndef {upper}_MODEL_H_
#define {upper}_MODEL_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

{extents}#define {upper}_INPUT_SIZE {source.size}
#define {upper}_INPUT_SCALE {_float(source.scale)}
#define {upper}_INPUT_ZERO_POINT {_signed(source.zero_point)}
#define {upper}_OUTPUT_SIZE {target.size}
#define {upper}_OUTPUT_SCALE {_float(target.scale)}
#define {upper}_OUTPUT_ZERO_POINT {_signed(target.zero_point)}
/* Bytes of static memory; there is no other but the stack. */
#define {upper}_ARENA_SIZE {program.arena.plan.size}
#define {upper}_STEPS {len(program.steps)}

/* Where the input lies in the arena: {upper}_INPUT_SIZE bytes. A camera may write here, which saves
 * a second buffer. Running the network overwrites it. */
int8_t *{name}_input(void);

/* Where the output lies in the arena: {upper}_OUTPUT_SIZE bytes, valid until the next input. */
const int8_t *{name}_output(void);

/* Runs the network once. `in` is copied into the arena unless it is NULL (the input is there
 * already) or {name}_input(); `out` gets a copy of the output unless it is NULL. Returns 0.
 * Not reentrant: the arena is static. */
int {name}_invoke(const int8_t *in, int8_t *out);

/* Runs the network on a pseudo-random image and compares with the output that was computed when it
 * was compiled. Returns 0 if all agree, else 1 + the index of the first output that differs. */
int {name}_selftest(void);

#ifdef __cplusplus
}}
#endif
#endif /* {upper}_MODEL_H_ */
"""


def source(program: Program, name: str, expected: np.ndarray | None) -> Source:
    """Writes `model.c`.

    Args:
        program: what to write.
        name: prefix of the symbols.
        expected: the output for the self-test's input; None writes zeros (to find it out).
    """
    constants = _Constants()
    calls, step_constants = [], []
    for index, step in enumerate(program.steps):
        said = comment_text(f"{step.name}: {step.operator}")
        calls += [f"  /* {part} */" for part in textwrap.wrap(said, _LINE - 8)]
        before = len(constants.names)
        calls += [f"  MODEL_STEP({index});", *_call(step, index, program.arena, constants)]
        step_constants.append(constants.names[before:])
    wanted = np.zeros(program.output.size, np.int8) if expected is None else expected
    scratches = [step.call.scratch for step in program.steps if step.call.scratch]
    enough = sorted({f"{scratch.macro} <= {scratch.bytes}" for scratch in scratches})
    checks = "\n".join(
        f"typedef char {name}_scratch_{i}[{check} ? 1 : -1];" for i, check in enumerate(enough)
    )
    selftest = constants.array(Array("int8_t", wanted), "selftest_output")
    upper, arena = name.upper(), program.arena
    body = "\n".join(calls)
    tables = "\n".join(constants.lines)
    text = f"""/* An int8 network compiled to C: weights and calls.
 * Made by micronet-keras from {comment_text(program.origin)}. Do not edit. */
#include "model.h"

#include <stddef.h>
#include <string.h>

#include "micronet_kernels.h"

/* Called before every step and after the last one; define it to watch or to time the network. */
#ifndef MODEL_STEP
#define MODEL_STEP(index)
#endif

#ifndef MODEL_ALIGNED
#if defined(__GNUC__)
#define MODEL_ALIGNED __attribute__((aligned(4)))
#else
#define MODEL_ALIGNED
#endif
#endif

/* The kernels ask for no more scratch memory than was planned. */
{checks}

{tables}

static union {{
  int64_t alignment;
  int8_t bytes[{upper}_ARENA_SIZE];
}} arena;

#define AT(offset) (arena.bytes + (offset))

int8_t *{name}_input(void) {{ return AT({arena.offset(program.input)}); }}

const int8_t *{name}_output(void) {{ return AT({arena.offset(program.output)}); }}

int {name}_invoke(const int8_t *in, int8_t *out) {{
  if (in != NULL && in != {name}_input()) memcpy({name}_input(), in, {upper}_INPUT_SIZE);
{body}
  MODEL_STEP({len(program.steps)});
  if (out != NULL) memcpy(out, {name}_output(), {upper}_OUTPUT_SIZE);
  return 0;
}}

int {name}_selftest(void) {{
  int8_t *in = {name}_input();
  uint32_t noise = 1;
  for (int32_t i = 0; i < {upper}_INPUT_SIZE; ++i) {{
    noise = noise * 1664525u + 1013904223u;
    in[i] = (int8_t)((int)(noise >> 24) - 128);
  }}
  {name}_invoke(NULL, NULL);
  for (int32_t i = 0; i < {upper}_OUTPUT_SIZE; ++i) {{
    if ({name}_output()[i] != {selftest}[i]) return 1 + i;
  }}
  return 0;
}}
"""
    return Source(text, constants.bytes, step_constants)


def selftest_input(size: int) -> np.ndarray:
    """The input that the self-test makes."""
    noise, values = 1, np.empty(size, np.int8)
    for i in range(size):
        noise = (noise * 1664525 + 1013904223) & 0xFFFFFFFF
        values[i] = (noise >> 24) - 128
    return values


def _call(step: Step, index: int, arena: Arena, constants: _Constants) -> list[str]:
    lines: list[str] = []

    def text(ref: Ref) -> str:
        match ref:
            case Params():
                suffix = ref.struct.name.removeprefix("micronet")
                return constants.params(ref, f"step{index}{suffix}")
            case Array():
                return constants.array(ref, f"step{index}_data")
            case Value():
                return f"AT({arena.offset(ref)})"
            case Pointers():
                places = ["NULL" if v is None else f"AT({arena.offset(v)})" for v in ref.values]
                lines.append(f"    const int8_t *const pointers[] = {{{', '.join(places)}}};")
                return "pointers"
            case Room.BYTES:
                return str(step.scratch_bytes)
            case Room.PLACE:
                return f"AT({arena.scratch_offset(index)})" if step.scratch_bytes else "NULL"
            case Kernel():
                return ref.name
        return str(ref)

    call = step.call
    arguments = [constants.params(call.params, f"step{index}")] if call.params else []
    arguments += [text(ref) for ref in call.args]
    statement = f"{call.kernel.name}({', '.join(arguments)});"
    return ["  {", *lines, f"    {statement}", "  }"] if lines else [f"  {statement}"]


def _float(value: float) -> str:
    text = repr(float(np.float32(value)))
    return (text if any(c in text for c in ".en") else text + ".0") + "f"


def _signed(value: int) -> str:
    return f"({value})" if value < 0 else str(value)
