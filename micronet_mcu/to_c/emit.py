"""Writes a planned program as C: `<name>.h`, `<name>.c` and its constants."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

import numpy as np

from micronet_mcu import csource
from micronet_mcu.graph.kernels import Kernel
from micronet_mcu.graph.program import Array, Params, Pointers, Ref, Room, Step
from micronet_mcu.graph.value import Value
from micronet_mcu.to_c.constants import Constants, weights_header, weights_source
from micronet_mcu.to_c.program import End, Kept, Program

_RUNS = """\
Runs the network once. Inputs are copied into the arena unless the argument is NULL (the input is
there already) or where it lies there; outputs are copied out of it unless the argument is NULL. Not
reentrant: the arena is static. Returns 0; anything else if a kernel refused its parameters, which
only happens when the kernels are not those that came with this file: then the output has no
meaning."""


@dataclass(frozen=True)
class Source:
    """The C of a program.

    Attributes:
        files: the text of each, by its name.
        constant_bytes: of the arrays of constants.
        step_constants: for every step the names of the constants that no step before it has used.
    """

    files: dict[str, str] = field(repr=False)
    constant_bytes: int
    step_constants: list[list[str]] = field(repr=False)


def source(program: Program, name: str, expected: np.ndarray | None) -> Source:
    """Writes `<name>.h`, `<name>.c`, `<name>_weights.h` and `<name>_weights.c`.

    Args:
        program: what to write.
        name: prefix of the symbols and of the files.
        expected: int8, the bytes of all outputs for the self-test's inputs; None writes zeros (to
            find them out).
    """
    constants = Constants(name)
    places = Places(program)
    calls, step_constants = [], []
    for index, step in enumerate(program.steps):
        before = len(constants.names)
        calls += [_title(step, index, name), _call(step, index, places, constants)]
        step_constants.append(constants.names[before:])
    for end, answer in zip(program.outputs, _answers(program, expected), strict=True):
        constants.array(Array(end.ctype, answer), f"selftest_{end.name}")
    for one in program.kept:
        if not _is_even(one):
            constants.array(Array("int8_t", one.initial), f"initial_{one.name}")
    scratches = [step.call.scratch for step in program.steps if step.call.scratch]
    origin = program.origin
    files = {
        f"{name}.h": header(program, name),
        f"{name}.c": _program(program, name, places, calls),
        f"{name}_weights.h": weights_header(constants, origin, places.offsets()),
        f"{name}_weights.c": weights_source(constants, origin, scratches),
    }
    return Source(files, constants.bytes, step_constants)


def _answers(program: Program, expected: np.ndarray | None) -> list[np.ndarray]:
    """The self-test's outputs, each in its type."""
    values = [end.value for end in program.outputs]
    if expected is None:
        return [np.zeros(value.size, value.dtype) for value in values]
    parts = np.split(expected, np.cumsum([value.nbytes for value in values])[:-1])
    return [part.view(value.dtype) for part, value in zip(parts, values, strict=True)]


def selftest_input(program: Program) -> np.ndarray:
    """The bytes, as int8, of the inputs that the self-test makes."""
    noise, parts = 1, []
    for end in program.inputs:
        steps = np.empty(end.value.size, np.int64)
        for i in range(steps.size):
            noise = (noise * 1664525 + 1013904223) & 0xFFFFFFFF
            steps[i] = noise >> 24
        if end.ctype == "float":
            scale, zero_point = end.quantization
            # In single precision, as C computes it.
            made = (steps - (128 + zero_point)).astype(np.float32) * np.float32(scale)
        else:
            made = (steps + np.iinfo(end.value.dtype).min).astype(end.value.dtype)
        parts.append(made.view(np.int8))
    return np.concatenate(parts)


def _noise(end: End) -> str:
    """C for what `selftest_input` makes of a random byte."""
    byte = "(int)(noise >> 24)"
    if end.ctype == "float":
        scale, zero_point = end.quantization
        return f"{csource.floating(scale)} * (float)({byte} - {csource.signed(128 + zero_point)})"
    least = int(np.iinfo(end.value.dtype).min)
    return f"({end.ctype})({byte} - {-least})" if least else f"({end.ctype})(noise >> 24)"


def header(program: Program, name: str) -> str:
    """The text of `<name>.h`: sizes, quantization, the functions."""
    upper = name.upper()
    tensors = "\n".join(_describe(f"{upper}_{end.name.upper()}", end) for end in program.ends)
    if len(program.outputs) == 1:
        tensors += f"\n#define {upper}_CLASSES {program.outputs[0].value.channels}"
    invoke = _wrapped(f"{_invoke(program, name)};", indent=0)
    return f"""/* An int8 network compiled to C: its sizes and functions.
 * Made by micronet-mcu from {csource.comment_text(program.origin)}. Do not edit.
 *
{_meaning(program, upper)}
 */
#ifndef {upper}_H_
#define {upper}_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

{tensors}
/* Bytes of static memory; there is no other but the stack. */
#define {upper}_ARENA_SIZE {program.arena.plan.size}
#define {upper}_STEPS {len(program.steps)}

{_declarations(program, name)}

{_comment(_RUNS)}
{invoke}

/* Runs the network on a pseudo-random image and compares with the output that was computed when it
 * was compiled. Returns 0 if all agree, else 1 + the index of the first output that differs, or -1
 * if the network did not run. */
int {name}_selftest(void);
{_reset_declaration(program, name)}
#ifdef __cplusplus
}}
#endif
#endif /* {upper}_H_ */
"""


def _meaning(program: Program, upper: str) -> str:
    """What the numbers in the inputs and outputs stand for."""
    lines = []
    for end in program.ends:
        what, element = end.name.replace("_", " "), f"{end.short}[i]"
        macro = f"{upper}_{end.name.upper()}"
        scaled = f"{macro}_SCALE * ({element} - {macro}_ZERO_POINT)"
        layout = ", NHWC, one image" if end is program.inputs[0] else ""
        stop = "." if end is program.ends[-1] else ";"
        lines.append(
            f" * real {what} = {element if end.ctype == 'float' else scaled}{layout}{stop}"
        )
    return "\n".join(lines)


def _declarations(program: Program, name: str) -> str:
    """The functions that say where inputs and outputs lie."""
    parts = []
    for end in program.ends:
        is_input, what = end in program.inputs, end.name.replace("_", " ")
        size = f"{name.upper()}_{end.name.upper()}_SIZE"
        unit = "bytes" if end.value.dtype.itemsize == 1 else f"values of {end.ctype}"
        text = f"Where the {what} lies in the arena: {size} {unit}"
        text += (
            ". A camera may write here, which saves a second buffer. Running the network "
            "overwrites it."
            if is_input
            else ", valid until the next input."
        )
        const = "" if is_input else "const "
        parts.append(f"{_comment(text)}\n{const}{end.ctype} *{name}_{end.name}(void);")
    return "\n\n".join(parts)


def _comment(text: str) -> str:
    """A block comment of full lines."""
    return "/* " + "\n * ".join(textwrap.wrap(text, csource.LINE - 6)) + " */"


def _invoke(program: Program, name: str) -> str:
    """The function that runs the network: a pointer for each input and each output."""
    pointers = [f"const {end.ctype} *{end.short}" for end in program.inputs]
    pointers += [f"{end.ctype} *{end.short}" for end in program.outputs]
    return f"int {name}_invoke({', '.join(pointers)})"


def _describe(prefix: str, end: End) -> str:
    value = end.value
    sizes = {"SIZE": str(value.size)}
    if len(value.shape) == 4:
        axes = zip(("HEIGHT", "WIDTH", "CHANNELS"), value.shape[1:], strict=True)
        sizes |= {axis: str(size) for axis, size in axes}
    if end.ctype != "float":
        sizes["SCALE"] = csource.floating(value.scale)
        sizes["ZERO_POINT"] = csource.signed(value.zero_point)
    return "\n".join(f"#define {prefix}_{what} {text}" for what, text in sizes.items())


class Places:
    """Names for the offsets in the arena: of the input, of every step's output and scratch."""

    def __init__(self, program: Program):
        self.identifiers = program.identifiers()
        self._arena, steps = program.arena, program.steps
        scratch = [i for i, step in enumerate(steps) if step.scratch_bytes]
        values = [end.value for end in program.inputs] + [one.before for one in program.kept]
        named = [end.name for end in program.inputs] + [f"{k.name} before" for k in program.kept]
        values += [step.output for step in steps]
        named += self.identifiers
        named += [f"{self.identifiers[i]} scratch" for i in scratch]
        names = [text.upper() for text in csource.unique_identifiers(named)]
        self._values = {id(v.root): (n, v) for v, n in zip(values, names, strict=False)}
        self._scratch = dict(zip(scratch, names[len(values) :], strict=True))

    def value(self, value: Value) -> str:
        """C for the address of an activation, as kernels take it: bytes as int8_t."""
        place = f"AT({self._values[id(value.root)][0]})"
        if value.offset:
            place += f" + {value.offset}"
        return f"(float *)(void *){place}" if value.dtype.kind == "f" else place

    def end(self, end: End) -> str:
        """C for the address of an input or an output, of its own type."""
        place = self.value(end.value)
        return f"(uint8_t *){place}" if end.ctype == "uint8_t" else place

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
    text = f"{step.name}: {step.operator}, {shape}, {step.output.nbytes} bytes{macs}"
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
            case Value() if ref.data is not None:
                return constants.array(Array("int8_t", ref.data), f"{name}_constant")
            case Value():
                return places.value(ref)
            case Pointers():
                values = ["NULL" if v is None else text(v) for v in ref.values]
                return f"(const int8_t *const[]){{{', '.join(values)}}}"
            case Room.BYTES:
                return str(step.scratch_bytes)
            case Room.PLACE:
                return places.scratch(index)
            case Kernel():
                return ref.name
            case float():
                return csource.floating(ref)
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


def _wrapped(statement: str, indent: int = 2) -> str:
    """A statement on lines of at most 100 columns, broken behind commas."""
    first, *parts = statement.split(", ")
    lines, line = [], f"{' ' * indent}{first}"
    for part in parts:
        if len(line) + len(part) + 3 > csource.LINE:
            lines.append(f"{line},")
            line = f"{' ' * (indent + 4)}{part}"
        else:
            line += f", {part}"
    return "\n".join([*lines, line])


def _program(program: Program, name: str, places: Places, calls: list[str]) -> str:
    upper = name.upper()
    body = "\n".join(calls)
    refuses = any(step.call.kernel.refuses for step in program.steps)
    declared = "  micronet_status refused = MICRONET_OK;\n" if refuses else ""
    result = "refused" if refuses else "0"
    inputs, outputs = program.inputs, program.outputs
    functions = "\n\n".join(
        _accessor(end, end in inputs, places.end(end), name) for end in program.ends
    )
    copied = "\n".join(_copy(end, True, name) for end in inputs)
    given = "\n".join(_copy(end, False, name) for end in outputs)
    selftest = _selftest(program, name)
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

{functions}
{_state(program, name)}
{_wrapped(_invoke(program, name) + " {", indent=0)}
{declared}{copied}{_kept(program, name, places, True)}
{body}
  {upper}_STEP({len(program.steps)});{_kept(program, name, places, False)}
{given}
  return {result};
}}

int {name}_selftest(void) {{
{selftest}
  return 0;
}}
"""


def _is_even(one: Kept) -> bool:
    """Whether it begins with the same value everywhere."""
    return bool((one.initial == one.initial[0]).all())


def _reset_declaration(program: Program, name: str) -> str:
    if not program.kept:
        return ""
    return f"""
/* The network keeps {program.kept_bytes} bytes from run to run, beside the arena: it forgets them,
 * and begins as at first. The self-test does so, too. */
void {name}_reset(void);
"""


def _state(program: Program, name: str) -> str:
    """C for what is kept from run to run, and the function that resets it."""
    if not program.kept:
        return ""
    members = "\n".join(f"  int8_t {one.name}[{one.before.nbytes}];" for one in program.kept)
    resets = "\n".join(_reset(one, name) for one in program.kept)
    return f"""
/* From run to run. */
static struct {{
{members}
}} kept;
static int has_begun;

void {name}_reset(void) {{
{resets}
  has_begun = 1;
}}
"""


def _reset(one: Kept, name: str) -> str:
    kept = f"kept.{one.name}"
    if _is_even(one):
        return f"  memset({kept}, {csource.integer(int(one.initial[0]))}, sizeof {kept});"
    return f"  memcpy({kept}, {name}_initial_{one.name}, sizeof {kept});"


def _kept(program: Program, name: str, places: Places, begins: bool) -> str:
    """C that takes what is kept into the arena, or out of it."""
    lines = [f"  if (!has_begun) {name}_reset();"] if program.kept and begins else []
    for one in program.kept:
        kept, place = f"kept.{one.name}", places.value(one.before if begins else one.after)
        to, source = (place, kept) if begins else (kept, place)
        lines.append(f"  memcpy({to}, {source}, sizeof {kept});")
    return "".join(f"\n{line}" for line in lines)


def _accessor(end: End, is_input: bool, place: str, name: str) -> str:
    const = "" if is_input else "const "
    return f"{const}{end.ctype} *{name}_{end.name}(void) {{ return {place}; }}"


def _copy(end: End, is_input: bool, name: str) -> str:
    """C that copies an input into the arena, or an output out of it."""
    place, size = f"{name}_{end.name}()", f"{name.upper()}_{end.name.upper()}_SIZE"
    if end.value.dtype.itemsize > 1:
        size = f"sizeof({end.ctype}) * {size}"
    if is_input:
        condition = f"{end.short} != NULL && {end.short} != {place}"
        return f"  if ({condition}) memcpy({place}, {end.short}, {size});"
    return f"  if ({end.short} != NULL) memcpy({end.short}, {place}, {size});"


def _selftest(program: Program, name: str) -> str:
    lines = ["  uint32_t noise = 1;"]
    reset = [f"  {name}_reset();"] if program.kept else []
    lines += reset
    for end in program.inputs:
        lines += [
            f"  {end.ctype} *{end.short} = {name}_{end.name}();",
            f"  for (int32_t i = 0; i < {name.upper()}_{end.name.upper()}_SIZE; ++i) {{",
            "    noise = noise * 1664525u + 1013904223u;",
            f"    {end.short}[i] = {_noise(end)};",
            "  }",
        ]
    lines.append(f"  if ({name}_invoke({program.no_arguments}) != 0) return -1;")
    lines += reset
    before = 1
    for end in program.outputs:
        found, expected = f"{name}_{end.name}()[i]", f"{name}_selftest_{end.name}[i]"
        lines += [
            f"  for (int32_t i = 0; i < {name.upper()}_{end.name.upper()}_SIZE; ++i) {{",
            f"    if ({found} != {expected}) return {before} + i;",
            "  }",
        ]
        before += end.value.size
    return "\n".join(lines)
