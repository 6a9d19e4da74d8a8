"""Measures the figures of README and docs, and makes the tables from the file that holds them.

The file says of every measurement by what command, when, on what machine and with what versions it
was made, and whether it is exact for one flatbuffer or of one training run.

Examples:

  # What `make demo` left, and what its model costs on the emulated boards.
  micronet figures --demo=out/demo

  # Another flatbuffer on the boards, under the name that the tables know it by.
  micronet figures --boards=boards_m3 --model=m3.tflite --made_by="README, last example"

  # Only the tables.
  micronet figures
"""

from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable, read_bytes, replacing

_FIGURES = flags.DEFINE_string("figures", "benchmarks/readme.json", "the file of measurements")
_PAGES = flags.DEFINE_list(
    "pages", ["README.md", "docs/quantization.md"], "the pages whose tables are made"
)
_DEMO = flags.DEFINE_string("demo", None, "measure what make demo left in this folder")
_BOARDS = flags.DEFINE_string("boards", None, "measure --model on the boards, under this name")
_MODEL = flags.DEFINE_string("model", None, "for --boards: a .tflite file")
_MADE_BY = flags.DEFINE_string("made_by", None, "for --boards: the command that made the model")


def main(argv: list[str]) -> None:
    del argv
    check_writable(_FIGURES.value, *_PAGES.value)
    if _BOARDS.value and not (_MODEL.value and _MADE_BY.value):
        raise UserError("--boards needs --model and --made_by")
    from micronet_keras.benchmark import published
    from micronet_keras.benchmark.record import read_record

    pages = {page: read_bytes(Path(page)).decode("utf-8") for page in _PAGES.value}
    if _DEMO.value:
        published.update(_FIGURES.value, published.measure_demo(_DEMO.value))
    if _BOARDS.value:
        measured = published.measure_boards(read_bytes(Path(_MODEL.value)), _MADE_BY.value)
        published.update(_FIGURES.value, {_BOARDS.value: measured})
    measured = read_record(Path(_FIGURES.value)) or {}
    for page, text in pages.items():
        filled = published.fill(text, measured)
        with replacing(page) as temporary:
            temporary.write_text(filled, encoding="utf-8")


def run() -> None:
    script.run(main)
