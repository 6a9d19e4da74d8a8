"""Sends a test set to a board through its serial port; reports accuracy and latency.

The board runs a project of `micronet export`. RUN is the folder that training wrote: dataset,
classes and split are read from it. For a model without a run name its --dataset.

Examples:

  micronet run-on-board out/shapes --port=/dev/ttyACM0 --images=200 --json=out/board.json
  micronet run-on-board --dataset=./photos --port=/dev/ttyACM0
"""

import json
import statistics
import sys

import numpy as np
from absl import flags

from micronet_cli import script
from micronet_cli.run_files import dataset_line
from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable, replacing
from micronet_mcu.firmware import BoardClient, open_port

_PORT = flags.DEFINE_string("port", None, "the board's serial port", required=True)
_BAUD = flags.DEFINE_integer("baud", 115200, "bits per second", lower_bound=300)
_DATASET = flags.DEFINE_string(
    "dataset", None, "instead of the run's: a TFDS name, or a folder with a sub-folder per class"
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_SPLIT = flags.DEFINE_string("split", None, "the split to send; the run's, or test")
_IMAGES = flags.DEFINE_integer("images", 100, "at most so many images", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 1, "inferences per image, for the latency", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "also write the report to this file")
_QUIET = flags.DEFINE_boolean("quiet", False, "no progress")


def main(argv: list[str]) -> None:
    check_writable(_JSON.value)
    if len(argv) != 2 and not _DATASET.value:
        raise UserError("name the RUN that the board's model is of, or its --dataset")
    with open_port(_PORT.value, _BAUD.value) as port:
        # The board first: a silent one is known in seconds, a dataset may take a minute to load.
        _say(f"waiting for the board at {_PORT.value}")
        board = BoardClient(port)
        size = " x ".join(map(str, board.model.shape))
        _say(f"{board.model.name}: {size}, {board.model.classes} classes; loading the dataset")
        if board.model.answer != "classes":
            raise UserError(
                f"the board's model answers with {board.model.answer}, not with classes"
            )
        source, split = _data(argv[1:])
        print(f"{dataset_line(source.name, source.class_names)}; split: {split}", flush=True)
        if board.model.classes != len(source.class_names):
            raise UserError(
                f"the board's model has {board.model.classes} classes, {source.name} has "
                f"{len(source.class_names)}; name the dataset that it was trained on"
            )
        report = _measure(board, source, split)
    print(
        f"{report['model']}: accuracy {report['accuracy']:.4f} on {report['images']} images, "
        f"latency {report['latency_ms']['mean']:.3f} ms "
        f"({report['latency_ms']['min']:.3f} to {report['latency_ms']['max']:.3f}), "
        f"{report['arena_bytes']} bytes of arena"
    )
    if _JSON.value:
        with replacing(_JSON.value) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n")


def _say(text: str) -> None:
    if not _QUIET.value:
        print(text, file=sys.stderr)


def _data(runs: list[str]):
    """The dataset and the split that the run was made with, or those of the flags."""
    from micronet_keras.data import load_dataset
    from micronet_keras.train import read_run

    if not runs:
        return load_dataset(_DATASET.value, _DATA_DIR.value), _SPLIT.value or "test"
    run = read_run(runs[0])
    source = run.source(run.load(_DATASET.value, _DATA_DIR.value))
    return source, _SPLIT.value or run.config.training.test_split


def _measure(board: BoardClient, source, split: str) -> dict:
    correct, latencies = 0, []
    size = board.model.shape[:2]
    total = min(_IMAGES.value, source.splits.get(split, _IMAGES.value))
    for image, label in _examples(source, split, size, total):
        board.load(image)
        latencies.append(1e3 * board.infer(runs=_RUNS.value))
        correct += int(np.argmax(board.results())) == label
        if not _QUIET.value:
            done = len(latencies)
            print(f"\r{done}/{total} accuracy {correct / done:.4f}", end="", file=sys.stderr)
    if not _QUIET.value:
        print(file=sys.stderr)
    return {
        "model": board.model.name,
        "images": len(latencies),
        "accuracy": correct / len(latencies),
        "latency_ms": {
            "mean": statistics.fmean(latencies),
            "min": min(latencies),
            "max": max(latencies),
        },
        "arena_bytes": board.model.arena_bytes,
    }


def _examples(source, split: str, size: tuple[int, int], total: int):
    from micronet_keras.data import eval_batches

    count = 0
    for images, labels in eval_batches(source, split, size, 16):
        for image, label in zip(np.asarray(images), np.asarray(labels), strict=True):
            if count == total:
                return
            count += 1
            yield image, int(label)


def run() -> None:
    script.run(main, positional="RUN")
