"""Compares a run's model with its int8 form on the real TensorFlow Lite Micro interpreter.

RUN is the folder that training wrote; task, dataset, classes, splits and preprocessing are read
from it, and the flatbuffer is RUN/int8/model.tflite unless --tflite says otherwise. Printed are the
figures of both forms (accuracy, AP, ...) and, for classifiers, in how many images they agree and
the signal-to-quantization-noise ratio of the int8 outputs. --json and --picture write to files;
--compiled runs the flatbuffer compiled to C, too.

Examples:

  micronet evaluate out/shapes

  micronet evaluate out/flowers --tflite=out/flowers/dense/model.tflite \\
      --split=validation --picture=out/flowers/confusion.png

  micronet evaluate out/shapes --compiled
"""

import json

from absl import flags

from micronet_cli import script
from micronet_cli.run_files import dataset_line, flatbuffer_of
from micronet_mcu.files import check_writable, replacing

_TFLITE = flags.DEFINE_string("tflite", None, "the int8 .tflite file; RUN's own when not given")
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
    folder = script.argument(argv, "RUN")
    flatbuffer = flatbuffer_of(_TFLITE.value or folder)
    from micronet_keras.compare import compare
    from micronet_keras.train import read_run

    run = read_run(folder)
    source = run.load(_DATASET.value, _DATA_DIR.value)
    split = _SPLIT.value or run.config.training.test_split
    print(f"{dataset_line(source.name, run.class_names)}; split: {split}", flush=True)
    print(f"int8: {flatbuffer}", flush=True)
    result = compare(
        run,
        flatbuffer,
        _SPLIT.value,
        limit=_LIMIT.value,
        compiled=_COMPILED.value,
        source=source,
    )
    script.print_figures(result.summary)
    if _JSON.value:
        with replacing(_JSON.value) as temporary:
            temporary.write_text(json.dumps(result.summary, indent=2) + "\n")
    if _PICTURE.value:
        result.measured["int8"].draw(_PICTURE.value, f"{flatbuffer}, int8 on TFLM")


def run() -> None:
    script.run(main, positional="RUN")
