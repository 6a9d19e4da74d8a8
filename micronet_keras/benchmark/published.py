"""The figures of README and docs: one JSON file that says where each is from, and their tables.

The file holds measurements by name: `command` (what measured it), `date`, `kind`, `environment`
(machine, versions, commit; None where it was not recorded), `flatbuffer_sha256` (None where no
single flatbuffer was measured) and `figures`, numbers by name. Kinds:

- "flatbuffer": counts of bytes, operators and instructions: exact, the same on every run and
  machine, for the flatbuffer of that hash and the compiler in the environment;
- "training": of one training run with the default seed; another machine's differs a little.
"""

import datetime
import hashlib
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from micronet_keras.benchmark.quantized_networks import NETWORKS
from micronet_keras.benchmark.record import environment, read_record, write_record
from micronet_mcu import benchmark
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes

KINDS = ("flatbuffer", "training")
BOARDS = ("cortex-m4", "cortex-m55")


class Row(NamedTuple):
    """A line of a table: `cells` are formats of the figures of `measurements`, in their order."""

    title: str
    measurements: tuple[str, ...]
    cells: tuple[str, ...]


_COMPILED = (
    "{0[cortex-m4][instructions]:M}",
    "{0[cortex-m55][instructions]:M}",
    "{0[cortex-m4][sram_bytes]:KB}",
    "{0[cortex-m4][flash_code_bytes]:KB}",
)
_ON_TFLM = "{1[instructions]:M}, {1[arena_bytes]:KB} arena"
_BOTH_TASKS = ("detection", "keypoints")
_BOTH_HEADS = ("head_m3", "head_mobilenet_v3_small")
_QUANTIZED = (
    "{0[madds]:M}",
    "{0[float_difference]:.0e}",
    "{0[float_accuracy]:%}",
    "{0[ptq_accuracy]:%}, {0[ptq_sqnr_db]} dB",
    "{0[qat_accuracy]:%}, {0[qat_sqnr_db]} dB",
    "{0[c]}",
)
_CIFAR = ("{0[accuracy]:%}", "{0[agreement]:%}", "{0[sqnr_db]} dB")

# By the name between the README's markers: the head of the table, then its rows.
TABLES: Mapping[str, tuple[tuple[str, ...], tuple[Row, ...]]] = {
    "demo": (
        ("", ""),
        (
            Row(
                "parameters, MAdds",
                ("demo",),
                ("{0[parameters]:,} (batch-norm statistics included), {0[madds]:,}",),
            ),
            Row("accuracy on the test split, float", ("demo",), ("{0[float_accuracy]:%}",)),
            Row(
                "accuracy on the test split, int8 on TFLM, after PTQ",
                ("demo",),
                ("{0[int8_accuracy]:%}",),
            ),
            Row("int8 flatbuffer", ("demo",), ("{0[flash_bytes]:,} bytes",)),
            Row(
                "TFLM arena, as the 64-bit interpreter counts it",
                ("demo",),
                ("{0[arena_bytes]:,} bytes",),
            ),
        ),
    ),
    "boards": (
        ("", "Cortex-M4", "Cortex-M55", "SRAM", "code", "TFLM + CMSIS-NN on the M4, to compare"),
        (
            Row(
                "M0, 96 px, 10 classes, of `make demo`",
                ("boards_demo", "tflm_m0"),
                (*_COMPILED, _ON_TFLM),
            ),
            Row(
                "M0, 96 px, 10 classes, trained with `--epochs=8`",
                ("boards_m0_8_epochs", "tflm_m0"),
                (*_COMPILED, _ON_TFLM),
            ),
            Row("M3, 96 px, 1000 classes", ("boards_m3", "tflm_m3"), (*_COMPILED, _ON_TFLM)),
            Row(
                "MobileNetV1-0.25, 96 px (person detector)",
                ("boards_person", "tflm_person"),
                (*_COMPILED, "{1[instructions]:M}"),
            ),
            Row("M0 detector, 128 px, 10 classes", ("boards_detector",), (*_COMPILED, "")),
            Row("M0 keypoints, 128 x 96 px", ("boards_keypoints",), (*_COMPILED, "")),
        ),
    ),
    "tasks": (
        ("", "detection, 128 px", "keypoints, 128 x 96 px"),
        (
            Row(
                "MAdds; operators; flatbuffer",
                _BOTH_TASKS,
                tuple(
                    f"{{{i}[madds]:M}}; {{{i}[operators]}}; {{{i}[flash_bytes]:KB}}" for i in (0, 1)
                ),
            ),
            Row("training on two cores", _BOTH_TASKS, ("{0[training]}", "{1[training]}")),
            Row(
                "float",
                _BOTH_TASKS,
                (
                    "AP {0[float_AP]:AP}, AP50 {0[float_AP50]:AP}",
                    "OKS AP {1[float_AP]:AP} ({1[flip_AP]:AP} with the flip test), "
                    "error {1[float_error]} heatmap cells",
                ),
            ),
            Row(
                "int8 on TFLM, PTQ",
                _BOTH_TASKS,
                (
                    "AP {0[int8_AP]:AP}, AP50 {0[int8_AP50]:AP}",
                    "OKS AP {1[int8_AP]:AP}, error {1[int8_error]} heatmap cells",
                ),
            ),
        ),
    ),
    "heads": (
        ("light head, 128 px, 10 epochs", "MicroNet-M3", "MobileNetV3-Small"),
        (
            Row("MAdds of the backbone", _BOTH_HEADS, ("{0[backbone]:M}", "{1[backbone]:M}")),
            Row("MAdds of the whole", _BOTH_HEADS, ("{0[madds]:M}", "{1[madds]:M}")),
            Row("parameters of the whole", _BOTH_HEADS, ("{0[parameters]:,}", "{1[parameters]:,}")),
            Row(
                "AP, AP50 on the test split",
                _BOTH_HEADS,
                tuple(f"{{{i}[AP]:AP}}, {{{i}[AP50]:AP}}" for i in (0, 1)),
            ),
        ),
    ),
    "cifar": (
        ("", "test accuracy", "agreement with float", "SQNR"),
        (
            Row("float", ("cifar_float",), ("{0[accuracy]:%}", "", "")),
            Row("PTQ (`--mode=ptq`), on TFLM", ("cifar_ptq",), _CIFAR),
            Row("QAT (`--mode=qat`, one epoch), on TFLM", ("cifar_qat",), _CIFAR),
        ),
    ),
    # In docs/quantization.md.
    "quantization": (
        ("", "MAdds", "graph - model", "float", "PTQ on TFLM", "QAT on TFLM", "C and TFLM"),
        tuple(Row(name, (f"quantization_{name}",), _QUANTIZED) for name in NETWORKS),
    ),
}


class _Units(string.Formatter):
    """`M`: millions, `KB`: 1000 bytes, `%`: per cent, `AP`: the same without the sign."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "KB":
            return f"{value / 1000:.{1 if value < 1e5 else 0}f} KB"
        if format_spec == "M":
            return f"{value / 1e6:.{2 if value < 1e7 else 1}f}M"
        if format_spec == "%":
            return f"{100 * value:.1f} %"
        if format_spec == "AP":
            return f"{100 * value:.1f}"
        return str(super().format_field(value, format_spec))


def measurement(command: str, kind: str, figures: dict, flatbuffer: bytes | None = None) -> dict:
    """What the file holds under one name, of this machine and day."""
    return {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "kind": kind,
        "environment": environment(),
        "flatbuffer_sha256": flatbuffer and hashlib.sha256(flatbuffer).hexdigest(),
        "figures": figures,
    }


def measure_demo(folder: str | Path) -> dict[str, dict]:
    """The measurements `demo` and `boards_demo` of what `make demo` left in its folder.

    Raises:
        UserError: it is not finished, or there is no cross compiler or emulator.
    """
    summary = read_record(Path(folder) / "summary.json")
    if summary is None:
        raise UserError(f"{folder} has no summary.json; run make demo first")
    flatbuffer = read_bytes(Path(folder) / "model.tflite")
    return {
        "demo": measurement("make demo", "training", summary, flatbuffer),
        "boards_demo": measure_boards(flatbuffer, "make demo"),
    }


def measure_boards(flatbuffer: bytes, made_by: str) -> dict:
    """What a flatbuffer costs compiled, on the emulated boards."""
    costs = benchmark(flatbuffer, BOARDS)
    figures = {
        name: {
            "instructions": cost.instructions,
            "sram_bytes": cost.sram_bytes,
            "flash_code_bytes": cost.flash_code_bytes,
            "flash_data_bytes": cost.flash_data_bytes,
        }
        for name, cost in costs.items()
    }
    command = f"{made_by}; python scripts/benchmark_mcu.py model.tflite"
    return measurement(command, "flatbuffer", figures, flatbuffer)


def update(path: str | Path, measured: Mapping[str, dict]) -> None:
    """Writes these measurements into the file and leaves the others."""
    write_record(Path(path), {**(read_record(Path(path)) or {}), **measured})


def render(name: str, measurements: Mapping[str, dict]) -> str:
    """The table of that name, in Markdown. A row that is not measured yet says so.

    Raises:
        KeyError: there is no such table, or no such figure.
    """
    head, rows = TABLES[name]
    lines = [_line(head), "|" + "---|" * len(head)]
    for row in rows:
        cells: Sequence[str] = ("not measured yet", *[""] * (len(row.cells) - 1))
        if set(row.measurements) & measurements.keys():
            figures = [measurements[each]["figures"] for each in row.measurements]
            cells = [_Units().vformat(cell, figures, {}) for cell in row.cells]
        lines.append(_line((row.title, *cells)))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def fill(page: str, measurements: Mapping[str, dict]) -> str:
    """The page with the tables between `<!-- figures: NAME -->` and `<!-- end -->` made anew."""

    def table(match: re.Match[str]) -> str:
        return f"<!-- figures: {match[1]} -->\n{render(match[1], measurements)}\n<!-- end -->"

    return re.sub(r"<!-- figures: (\w+) -->\n.*?<!-- end -->", table, page, flags=re.DOTALL)
