"""Trains MicroNet-M0 .. M3, from a preset that any flag overrides.

--task: classification, detection (boxes; --head says which detector) or keypoints (heatmaps of
people in crops). --task=detection --help shows the flags of that task.

A run that was stopped, in whatever way, goes on with the same command and ends as if it had never
been stopped. In --out it leaves best.keras, last.keras, config.json, history.csv, tensorboard/ and,
when it is finished, curve.png, predictions.png and summary.json.

Examples:

  # M0 on the bundled dataset, in minutes, on a laptop's processor.
  micronet train --out=out/shapes

  # Your own pictures: a folder with a sub-folder per class.
  micronet train --dataset=./flowers --epochs=20 --out=out/flowers

  # The same, from the features of the first one.
  micronet train --dataset=./flowers --weights=out/shapes/best.keras --skip_head \\
      --learning_rate=0.02 --epochs=20 --out=out/flowers

  # The authors' recipe for M3 on ImageNet; TFDS has no labels for its test split.
  micronet train --model=m3 --preset=m3 --dataset=imagenet2012 --data_dir=/data/tfds \\
      --validation_split=validation --test_split=validation --out=out/m3

  # A detector for microcontrollers on the bundled dataset, in a quarter of an hour.
  micronet train --task=detection --out=out/detector

  # A detector of your own: a folder of pictures with COCO JSON, Pascal VOC XML or YOLO txt.
  micronet train --task=detection --dataset=./traffic --out=out/traffic

  # Keypoints of the bundled dataset's stick figures, on the features of a classifier.
  micronet train --task=keypoints --weights=out/shapes/best.keras --out=out/pose

  # Keypoints of COCO 2017; what to put where is said when files are missing.
  micronet train --task=keypoints --model=m3 --preset=coco --dataset=coco_keypoints \\
      --data_dir=/data/tfds --test_split=validation --out=out/coco_pose

  # On the accelerators of two machines, with JAX; docs/scale.md has more.
  KERAS_BACKEND=jax micronet train --out=out/m3 --distribution=data_parallel \\
      --coordinator=10.0.0.1:7000 --processes=2 --process=0   # on the other one --process=1

Presets: m0, m1, m2, m3 are the authors' for ImageNet (600 epochs), quick suits small datasets
and is there for every task; coco is for keypoints. --preset=m3 --help shows that preset's values.
"""

import contextlib
from typing import Any

from absl import flags

from micronet_cli import script
from micronet_cli.setting_flags import define_flags, given_flags
from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable
from micronet_mcu.locks import locked
from micronet_settings import (
    CONFIGS,
    NETWORKS,
    RECIPES,
    TrainConfig,
    flat,
    replace,
    with_batch_size,
)

PRESETS = sorted({name for recipes in RECIPES.values() for name in recipes})

_TASK = flags.DEFINE_enum("task", "classification", list(CONFIGS), "what is learnt")
_MODEL = flags.DEFINE_enum("model", "m0", NETWORKS, "which MicroNet")
_PRESET = flags.DEFINE_enum("preset", "quick", PRESETS, "where the flags further down start from")
_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "a TFDS name, or a folder: with a sub-folder per class; for detection with COCO JSON, Pascal "
    "VOC XML or YOLO txt; for keypoints with COCO JSON; the bundled dataset when not given",
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_OUT = flags.DEFINE_string("out", "out/train", "folder of the run")
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "what to start from: best.keras of another run (or any .keras file), a .weights.h5 file, "
    "an authors' .pth file, or imagenet",
)
_SKIP_HEAD = flags.DEFINE_boolean(
    "skip_head", False, "start with a new last layer where --weights has other classes"
)
_SCALE = flags.DEFINE_boolean(
    "scale_learning_rate",
    False,
    "scale the preset's learning rate in proportion to --batch_size (it is not scaled unasked)",
)
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution", "none", ["none", "data_parallel"],
    "data_parallel: all devices, and all processes that the next three flags, or JAX, know of; "
    "needs KERAS_BACKEND=jax",
)  # fmt: skip
_COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, a free port there")
_PROCESSES = flags.DEFINE_integer("processes", None, "how many there are", lower_bound=1)
_PROCESS = flags.DEFINE_integer("process", None, "which one this is, from 0", lower_bound=0)
_FORCE = flags.DEFINE_boolean("force", False, "discard the run that is in --out and start anew")

define_flags(TrainConfig, __name__)
for _config in CONFIGS.values():
    define_flags(_config, __name__)


def config_from_flags() -> Any:
    """The preset with the given flags in place of its fields.

    Raises:
        UserError: the task has no such preset or no such setting, or a value is out of its range.
    """
    task, config = _TASK.value, _recipe()
    given = given_flags(TrainConfig, CONFIGS[task])
    foreign = set(given_flags(*CONFIGS.values())) - set(given)
    if foreign:
        raise UserError(f"--task={task} has no setting --{min(foreign)}; leave it out")
    try:
        if _SCALE.value:
            if "learning_rate" in given:
                raise UserError("--scale_learning_rate and --learning_rate exclude each other")
            config = with_batch_size(config, given.get("batch_size", config.training.batch_size))
        return replace(config, **given)
    except ValueError as error:
        raise UserError(str(error)) from error


def _recipe() -> Any:
    recipes = RECIPES[_TASK.value]
    if _PRESET.value not in recipes:
        raise UserError(
            f"--task={_TASK.value} has no preset {_PRESET.value!r}; choose among: "
            + ", ".join(recipes)
        )
    return recipes[_PRESET.value]


def _distribution() -> contextlib.AbstractContextManager[None]:
    from micronet_keras.distribution import joined

    processes = (_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    if _DISTRIBUTION.value == "data_parallel":
        return joined(*processes)
    if any(value is not None for value in processes):
        raise UserError(
            "--coordinator, --processes and --process are for --distribution=data_parallel"
        )
    return contextlib.nullcontext()


def _train(config: Any):
    from micronet_keras.train import train_network

    return train_network(
        _TASK.value,
        _MODEL.value,
        config,
        _OUT.value,
        dataset=_DATASET.value,
        data_dir=_DATA_DIR.value,
        weights=_WEIGHTS.value,
        skip_head=_SKIP_HEAD.value,
        force=_FORCE.value,
    )


def main(argv: list[str]) -> None:
    del argv
    config = config_from_flags()
    from micronet_keras.distribution import process_index

    with _distribution():
        if process_index() == 0:
            check_writable(_OUT.value, inside=True)
            with locked(_OUT.value):
                pass  # Said at once when another process is at it, not after reading the data.
        result = _train(config)
        if not result.trained:
            print(f"{_OUT.value} is finished, nothing was done; --force starts anew")
        script.print_figures(result.summary)
        print(f"next: {script.command('quantize')} {_OUT.value}")


def run() -> None:
    """The console script."""
    script.run(main, values=lambda: flat(_recipe()))
