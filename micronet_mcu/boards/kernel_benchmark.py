"""Counts the instructions of every kernel on the emulated boards, with MicroNet-M0's shapes.

    python -m micronet_mcu.boards.kernel_benchmark [--reference] [--ops] [BOARD ...]

Prints, per board and kernel, instructions per multiply-accumulate (or per element), and the sum
over MicroNet-M0 and over MobileNetV1-0.25, both at 96 px; last, elementwise kernels on a large map.
No kernel's count depends on the data.
"""

import argparse
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from micronet_mcu.boards import boards, emulator, toolchain
from micronet_mcu.c_sources import c_sources

KERNELS = c_sources("kernels")

# Stride, output channels, kernel, multipliers, groups, Dynamic Shift-Max branches and reduction:
# s, c, ks, c1, c2, g1, g3, g4, y1, y2, y3, r (the authors' row table msnx_dy6_exp4_4M_221).
M0_ROWS = (
    (2, 8, 3, 2, 2, 0, 2, 2, 2, 0, 1, 1),
    (2, 12, 3, 2, 2, 0, 4, 4, 2, 2, 1, 1),
    (2, 16, 5, 2, 2, 0, 4, 4, 2, 2, 1, 1),
    (1, 32, 5, 1, 4, 4, 4, 4, 2, 2, 1, 1),
    (2, 64, 5, 1, 4, 8, 8, 8, 2, 2, 1, 1),
    (1, 96, 3, 1, 4, 8, 8, 8, 2, 2, 1, 2),
    (1, 384, 3, 1, 4, 12, 0, 0, 2, 2, 1, 2),
)


@dataclass(frozen=True)
class Op:
    """One kernel call: what is counted, its size, and the C statement that makes it."""

    kernel: str
    shape: str
    unit: str
    size: int
    call: str


def _conv_fields(h, w, c, kh, kw, sh, sw, out_c):
    out_h, out_w = -(-h // sh), -(-w // sw)
    pad_h, pad_w = (kh - 1) // 2, (kw - 1) // 2
    fields = (h, w, c, out_h, out_w, out_c, kh, kw, sh, sw, pad_h, pad_w)
    return out_h, out_w, ", ".join(map(str, fields))


def column_rgb(h, w, k, s, out_c):
    out_h, out_w, fields = _conv_fields(h, w, 3, k, 1, s, 1, out_c)
    call = f"CONV(micronet_conv2d_column_rgb, {fields})"
    return Op("column_rgb", f"{h}x{w}x3 -> {out_c}", "MAC", out_h * out_w * out_c * k * 3, call)


def conv(h, w, c, k, s, out_c):
    out_h, out_w, fields = _conv_fields(h, w, c, k, k, s, s, out_c)
    macs = out_h * out_w * out_c * k * k * c
    shape = f"{h}x{w}x{c} {k}x{k}/{s} -> {out_c}"
    name = "conv2d 1x1" if k == 1 else f"conv2d {k}x{k}"
    return Op(name, shape, "MAC", macs, f"CONV_SCRATCH(micronet_conv2d, {fields})")


def depthwise(h, w, c, kh, kw, sh, sw, multiplier):
    out_h, out_w, fields = _conv_fields(h, w, c, kh, kw, sh, sw, c * multiplier)
    macs = out_h * out_w * c * multiplier * kh * kw
    shape = f"{h}x{w}x{c} {kh}x{kw}/{sh},{sw} x{multiplier}"
    name = "depthwise 1d" if 1 in (kh, kw) else f"depthwise {kh}x{kw}"
    return Op(name, shape, "MAC", macs, f"CONV_SCRATCH(micronet_depthwise, {fields})")


def grouped(pixels, in_c, out_c, groups):
    macs = pixels * out_c * in_c // groups
    shape = f"{pixels} pixels {in_c} -> {out_c} in {groups} groups"
    return Op("grouped 1x1", shape, "MAC", macs, f"GROUPED({pixels}, {in_c}, {out_c}, {groups})")


def dense(in_c, out_c):
    return Op(
        "fully connected", f"{in_c} -> {out_c}", "MAC", in_c * out_c, f"DENSE({in_c}, {out_c})"
    )


def pool(pixels, c):
    return Op(
        "global pool", f"{pixels} pixels x {c}", "element", pixels * c, f"POOL({pixels}, {c})"
    )


def lookup(count):
    return Op("lookup", str(count), "element", count, f"LOOKUP({count})")


def add(count):
    return Op("add", str(count), "element", count, f"ADD({count})")


def dyshiftmax(pixels, c, branches):
    name, shape = f"dyshiftmax K={branches}", f"{pixels} pixels x {c}"
    return Op(name, shape, "element", pixels * c, f"DYSHIFTMAX({pixels}, {c}, {branches})")


def _activation(pixels, c, branches, reduction):
    """The operators of one Dynamic Shift-Max: mean, coefficients, application."""
    hidden = max(4, (max(c // reduction, 4) + 2) // 4 * 4)
    coefficients = [dense(hidden, c)] * (2 * branches)
    return [pool(pixels, c), dense(c, hidden), *coefficients, dyshiftmax(pixels, c, branches)]


def m0_ops(size=96, classes=10) -> list[Op]:
    """The kernel calls of MicroNet-M0."""
    h = w = size // 2
    ops = [column_rgb(size, size, 3, 2, 2), depthwise(h, size, 2, 1, 3, 1, 2, 2)]
    c = 4
    for s, out_c, k, c1, c2, g1, g3, g4, y1, y2, y3, r in M0_ROWS:
        wide = c * c1 * c2
        if g1 == 0:
            ops += [depthwise(h, w, c, k, 1, s, 1, c1)]
            h = -(-h // s)
            ops += [depthwise(h, w, c * c1, 1, k, 1, s, c2)]
            w = -(-w // s)
            if y2:
                ops += _activation(h * w, wide, y2, 8 * r)
            ops += [grouped(h * w, wide, out_c, g3), *_activation(h * w, out_c, y3, 4 * r)]
        elif g4 == 0:
            ops += [grouped(h * w, c, wide, g1), *_activation(h * w, wide, y3, 8 * r)]
        else:
            ops += [grouped(h * w, c, wide, g1), *_activation(h * w, wide, y1, 8 * r)]
            ops += [depthwise(h, w, wide, k, 1, s, 1, 1)]
            h = -(-h // s)
            ops += [depthwise(h, w, wide, 1, k, 1, s, 1)]
            w = -(-w // s)
            ops += _activation(h * w, wide, y2, 8 * r)
            ops += [grouped(h * w, wide, out_c, g3)]
            ops += _activation(h * w, out_c, y3, (4 if out_c < wide else 8) * r)
        c = out_c
    hidden = 640
    head = [pool(h * w, c), lookup(c), dense(c, hidden), lookup(hidden)]
    return [*ops, *head, dense(hidden, classes), lookup(classes)]


def mobilenet_ops() -> list[Op]:
    """Kernel calls of MobileNetV1-0.25 at 96 px."""
    ops = [conv(96, 96, 3, 3, 2, 8)]
    blocks = (
        (48, 8, 1, 16),
        (48, 16, 2, 32),
        (24, 32, 1, 32),
        (24, 32, 2, 64),
        (12, 64, 1, 64),
        (12, 64, 2, 128),
        *[(6, 128, 1, 128)] * 5,
        (6, 128, 2, 256),
        (3, 256, 1, 256),
    )
    for size, c, s, out_c in blocks:
        out = -(-size // s)
        ops += [depthwise(size, size, c, 3, 3, s, s, 1), conv(out, out, c, 1, 1, out_c)]
    return ops


def large_maps() -> list[Op]:
    """Elementwise kernels where the set-up of a call and of a channel hardly counts."""
    return [dyshiftmax(2304, 32, 1), dyshiftmax(2304, 32, 2), add(2304 * 32)]


_PROGRAM = """
#include <string.h>
#include "board.h"
#include "micronet_kernels.h"
static int8_t weights[300000] __attribute__((aligned(8)));
static int8_t in[100000] __attribute__((aligned(8))), out[100000] __attribute__((aligned(8)));
static uint8_t scratch[9344] __attribute__((aligned(8)));
static micronet_channel channels[1024];
static int32_t doubled_bias[1024] __attribute__((unused));
static uint16_t shift[1024] __attribute__((unused));
#define COUNT(call) do { count_begin(); call; board_report("op", count_end()); } while (0)
#define CONV(kernel, ...) do { static const micronet_conv_params p = {{__VA_ARGS__, -3, -128, \\
  127}, weights, channels, 0}; COUNT(kernel(&p, in, out)); } while (0)
#define CONV_SCRATCH(kernel, ...) do { static const micronet_conv_params p = {{__VA_ARGS__, -3, \\
  -128, 127}, weights, channels, 0}; \\
  COUNT(kernel(&p, in, out, scratch, sizeof scratch)); } while (0)
#define GROUPED(pixels, in_c, out_c, groups) do { \\
  static const micronet_conv2d_grouped_1x1_params p = {{pixels, \\
  in_c, out_c, groups, -3, -128, 127}, (const int16_t *)weights, channels}; \\
  COUNT(micronet_conv2d_grouped_1x1(&p, in, out, scratch, sizeof scratch)); } while (0)
#define DENSE(in_c, out_c) do { static const micronet_fully_connected_params p = {{in_c, out_c, \\
  -3, -128, 127, 0x55555555, 640, 7}, weights, doubled_bias}; \\
  COUNT(micronet_fully_connected(&p, in, out, scratch)); } while (0)
#define POOL(pixels, c) COUNT(micronet_global_average_pool(pixels, c, in, out))
#define LOOKUP(count) COUNT(micronet_lookup(weights, count, in, out))
#define ADD(count) do { static const micronet_add_params p = {{count, count, count, 0x55555555, \\
  640, 22, -128, 127}, (const int32_t *)weights}; COUNT(micronet_add(&p, in, out, out)); } while (0)
#define DYSHIFTMAX(pixels, c, branches) do { \\
  static const micronet_dyshiftmax_params p = {{pixels, c, branches, -3, -3, \\
  {{4000000, -64}, {4000000, 0}, {4000000, -64}, {4000000, 0}}}, shift, 0}; \\
  const int8_t *k[4] = {weights, weights + c, weights + 2 * c, weights + 3 * c}; \\
  for (int i = 0; i < c; ++i) shift[i] = (uint16_t)((i + c / 4 + 1) % c); \\
  COUNT(micronet_dyshiftmax(&p, in, k, out, 0, 0)); } while (0)
int main(void) {
  uint32_t state = 1;
#define RANDOM (int8_t)((state = state * 1664525u + 1013904223u) >> 24)
  for (unsigned i = 0; i < sizeof weights; ++i) weights[i] = RANDOM;
  for (unsigned i = 0; i < sizeof in; ++i) in[i] = RANDOM;
  for (int i = 0; i < 1024; ++i) {
    const micronet_channel record = {i, 0x55555555, 640, 7};
    channels[i] = record;
  }
  (void)scratch;
@CALLS@
  return 0;
}
"""


def count(board: boards.Board, ops: list[Op], flags=("-O2",), reference=False):
    """Returns the instructions of each op on a board, and the program's footprint."""
    with tempfile.TemporaryDirectory() as folder:
        main = Path(folder) / "main.c"
        main.write_text(_PROGRAM.replace("@CALLS@", "\n".join(f"  {op.call};" for op in ops)))
        elf = toolchain.build(
            board, [main, *sorted(KERNELS.glob("*/*.c"))], Path(folder) / "main.elf",
            include=[KERNELS / "include"], flags=flags,
            defines=["MICRONET_REFERENCE=1"] if reference else [],
        )  # fmt: skip
        lines = emulator.run(board, elf).output.splitlines()
        sizes = {k: v for k, v in toolchain.symbol_sizes(elf).items() if k.startswith("micronet_")}
    return [int(line.split()[1]) for line in lines if line.startswith("op ")], sizes


def _print_table(title, ops, counts, per_op):
    sums: dict[str, list] = defaultdict(lambda: [0, 0, ""])
    print(title)
    for op, instructions in zip(ops, counts, strict=True):
        entry = sums[op.kernel]
        entry[0] += instructions
        entry[1] += op.size
        entry[2] = op.unit
        if per_op:
            print(
                f"    {op.kernel:16} {op.shape:40} {instructions:9,} {instructions / op.size:7.2f}"
            )
    for kernel, (instructions, size, unit) in sums.items():
        ratio = instructions / size
        print(f"  {kernel:16} {instructions:10,} instructions {size:9,} {unit}s {ratio:6.2f} each")
    print(f"  {'sum':16} {sum(counts):10,} instructions")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m micronet_mcu.boards.kernel_benchmark",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("boards", nargs="*", metavar="BOARD", help=", ".join(boards.BOARDS))
    parser.add_argument("--reference", action="store_true", help="count the reference kernels")
    parser.add_argument("--ops", action="store_true", help="print every call, not only the sums")
    parser.add_argument("--flags", default="-O2", help="the compiler's options")
    options = parser.parse_args()
    for name in options.boards or boards.BOARDS:
        board = boards.find(name)
        for title, ops in (
            ("MicroNet-M0, 96 px", m0_ops()),
            ("MobileNetV1-0.25, 96 px", mobilenet_ops()),
            ("elementwise kernels, 2304 pixels of 32 channels", large_maps()),
        ):
            counts, sizes = count(board, ops, options.flags.split(), options.reference)
            _print_table(f"{name}: {title}", ops, counts, options.ops)
            code = ", ".join(f"{k.removeprefix('micronet_')} {v}" for k, v in sorted(sizes.items()))
            print(f"  bytes of code: {code}; sum {sum(sizes.values()):,}")


if __name__ == "__main__":
    main()
