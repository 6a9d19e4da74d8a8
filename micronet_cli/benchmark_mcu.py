"""Counts what an int8 .tflite, compiled to C, costs on Cortex-M4, M7 and M55; M33, M3 and M0+, too.

MODEL is the file, or the folder of a run, whose RUN/int8/model.tflite it is.

The boards are emulated by QEMU: instructions are counted exactly, and are the same on every run;
cycles are not. Printed per board: every operator's instructions, multiply-accumulates (MACs), SRAM
in use while it runs, weights and tables; then the sums, with code, stack and variables.

Needs arm-none-eabi-gcc and qemu-system-arm (Debian: gcc-arm-none-eabi,
libnewlib-arm-none-eabi, qemu-system-arm).

Examples:

  micronet benchmark out/shapes
  micronet benchmark out/demo/model.tflite --json=out/counts.json
"""

import json
import tempfile
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from absl import flags
from tqdm import tqdm

from micronet_cli import script
from micronet_cli.run_files import flatbuffer_of, named_model
from micronet_mcu import boards as board
from micronet_mcu.boards.board_counts import BoardCost, count_on_board
from micronet_mcu.files import check_writable, refuse_existing, replacing
from micronet_mcu.to_c.compiler import compile_model

_MODEL = flags.DEFINE_string("model", None, "the same as MODEL")
_BOARDS = flags.DEFINE_list("boards", list(board.USUAL), f"of {', '.join(board.BOARDS)}")
_FUSE = flags.DEFINE_boolean("fuse", True, "make one call of every Dynamic Shift-Max")
_STEPS = flags.DEFINE_boolean("steps", True, "print every operator, not only the sums")
_JSON = flags.DEFINE_string("json", None, "also write the counts to this file")
_FORCE = flags.DEFINE_boolean("force", False, "replace --json when it exists")


def main(argv: list[str]) -> None:
    model = flatbuffer_of(named_model(argv, _MODEL.value, "MODEL.tflite or RUN"))
    chosen = [board.find(name) for name in _BOARDS.value]
    check_writable(_JSON.value)
    if _JSON.value:
        refuse_existing(_JSON.value, _FORCE.value)
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_model(model, Path(folder) / "c", fuse=_FUSE.value)
        costs = {
            target.name: count_on_board(compiled, target)
            for target in tqdm(chosen, unit="board", disable=None)
        }
    for name, cost in costs.items():
        print(_table(name, cost), end="\n\n")
    if _JSON.value:
        with replacing(_JSON.value, _FORCE.value) as temporary:
            temporary.write_text(json.dumps({"boards": _as_json(costs)}, indent=1) + "\n")


def _table(name: str, cost: BoardCost) -> str:
    head = (
        f"{'operator':34} {'kernel':24} {'instructions':>12} {'MACs':>10} {'SRAM':>8} {'data':>8}"
    )
    lines = [name, head] if _STEPS.value else [name]
    for step in cost.steps if _STEPS.value else []:
        lines.append(
            f"{step.op[:34]:34} {step.kernel.removeprefix('micronet_'):24} "
            f"{step.instructions:12} {step.macs:10} {step.sram_bytes:8} {step.flash_data_bytes:8}"
        )
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for step in cost.steps:
        totals[step.kernel][0] += step.instructions
        totals[step.kernel][1] += step.macs
    lines.append(f"{'kernel':34} {'instructions':>12} {'per MAC':>8} {'code':>6}")
    for kernel, (instructions, macs) in sorted(totals.items(), key=lambda item: -item[1][0]):
        ratio = f"{instructions / macs:8.2f}" if macs else " " * 8
        lines.append(f"{kernel:34} {instructions:12} {ratio} {cost.kernel_bytes[kernel]:6}")
    lines += [
        f"instructions {cost.instructions}, MACs {cost.macs}, "
        f"{cost.instructions / max(cost.macs, 1):.2f} instructions per MAC",
        f"SRAM {cost.sram_bytes} bytes, {cost.stack_bytes} of them stack",
        f"flash {cost.flash_code_bytes} bytes of code, {cost.flash_data_bytes} bytes of data",
    ]
    return "\n".join(lines)


def _as_json(costs: dict[str, BoardCost]) -> dict[str, Any]:
    boards = {name: asdict(cost) for name, cost in costs.items()}
    for entry in boards.values():
        entry["ops"] = entry.pop("steps")
    return boards


def run() -> None:
    script.run(main, positional="MODEL")
