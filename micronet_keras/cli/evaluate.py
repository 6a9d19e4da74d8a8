"""Compares a run's model with its int8 form on the real TensorFlow Lite Micro interpreter.

RUN is the folder that scripts/train.py wrote; task, dataset and splits are read from it. Printed
are the figures of both forms (accuracy, AP, ...) and, for classifiers, in how many images they
agree and the signal-to-quantization-noise ratio of the int8 outputs. --json and --picture write to
files; --compiled runs the flatbuffer compiled to C, too.

Examples:

  python scripts/evaluate.py out/shapes --tflite=out/shapes/int8/model.tflite

  python scripts/evaluate.py out/flowers --tflite=out/flowers/int8/model.tflite \\
      --split=validation --picture=out/flowers/confusion.png

  python scripts/evaluate.py out/shapes --tflite=out/shapes/int8/model.tflite --compiled
"""

import json

from absl import flags

from micronet_keras.compare import compare
from micronet_keras.train import read_run
from micronet_mcu.cli import script
from micronet_mcu.files import check_writable, replacing

_TFLITE = flags.DEFINE_string("tflite", None, "the int8 .tflite file", required=True)
_DATASET = flags.DEFINE_string("dataset", None, "instead of the run's; with the same classes")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps the dataset now")
_SPLIT = flags.DEFINE_string("split", None, "the split to look at; the run's test split without it")
_LIMIT = flags.DEFINE_integer("limit", None, "only the first so many examples", lower_bound=1)
_COMPILED = flags.DEFINE_boolean("compiled", False, "run it compiled to C as well")
_JSON = flags.DEFINE_string("json", None, "a file for the figures")
_PICTURE = flags.DEFINE_string(
    "picture", None, "a PNG of what the int8 form says: confusion matrix, boxes or keypoints"
)


def main(argv: list[str]) -> None:
    check_writable(_JSON.value, _PICTURE.value)
    run = read_run(script.argument(argv, "RUN"))
    result = compare(
        run,
        _TFLITE.value,
        _SPLIT.value,
        limit=_LIMIT.value,
        compiled=_COMPILED.value,
        source=run.load(_DATASET.value, _DATA_DIR.value),
    )
    script.print_figures(result.summary)
    if _JSON.value:
        with replacing(_JSON.value) as temporary:
            temporary.write_text(json.dumps(result.summary, indent=2) + "\n")
    if _PICTURE.value:
        result.measured["int8"].draw(_PICTURE.value, f"{_TFLITE.value}, int8 on TFLM")


def run() -> None:
    script.run(main, positional="RUN")
