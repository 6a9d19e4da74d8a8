"""Writes what there is to know about a run into one HTML file that needs no other.

Curves, figures, confusion matrix, precision and recall of each class, the worst mistakes as
pictures, what each layer costs; with --tflite the int8 form beside the float one, where it loses,
its memory over time and the boards that it fits on.

Examples:

  micronet report out/shapes

  micronet report out/shapes --tflite=out/shapes/int8/model.tflite --out=shapes.html
"""

from absl import flags

from micronet_cli import script
from micronet_mcu.files import check_writable

_TFLITE = flags.DEFINE_string("tflite", None, "the int8 .tflite file of the run's model")
_OUT = flags.DEFINE_string("out", None, "the page; report.html in the run's folder without it")
_LIMIT = flags.DEFINE_integer("limit", 500, "only the first so many examples", lower_bound=1)
_BOARD = flags.DEFINE_string("board", "cortex-m4", "the emulated board; empty counts on none")


def main(argv: list[str]) -> None:
    check_writable(_OUT.value)
    folder = script.argument(argv, "RUN")
    from micronet_keras.report import report
    from micronet_keras.train import read_run

    path = report(
        read_run(folder),
        _TFLITE.value,
        _OUT.value,
        limit=_LIMIT.value,
        board=_BOARD.value or None,
    )
    print(f"wrote {path}")


def run() -> None:
    script.run(main, positional="RUN")
