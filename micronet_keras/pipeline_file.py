"""The file that a pipeline starts with, written for a dataset."""

from __future__ import annotations

import json
import math

from micronet_keras import data
from micronet_keras.data.counts import counts_line
from micronet_keras.tasks import TASKS
from micronet_mcu.boards import BOARDS
from micronet_mcu.errors import UserError
from micronet_mcu.firmware import PLATFORMS
from micronet_settings import RECIPES

# A small dataset is gone over more often, up to so many epochs, to come to so many steps.
_STEPS, _MOST_EPOCHS = 1000, 60


def starting_file(dataset: str, name: str, command: str) -> str:
    """The text of a pipeline's YAML file with what suits the dataset.

    Args:
        dataset: a folder, with a sub-folder per class or with annotations, or a TFDS name.
        name: of the file without .yaml, and of the run's folder in `out/`.
        command: how a pipeline is called, for the comment.

    Raises:
        UserError: there is no such dataset.
    """
    task, source = _task_of(dataset)
    recipe = RECIPES[task]["quick"].training
    images = source.splits.get("train", max(source.splits.values()))
    batch = max(1, min(recipe.batch_size, images // 4))
    epochs = min(max(recipe.epochs, math.ceil(_STEPS * batch / max(images, 1))), _MOST_EPOCHS)
    epochs = max(epochs, recipe.epochs)
    size = f"{recipe.image_size}x{recipe.image_width}" if recipe.image_width else recipe.image_size
    counted, weights = "", ""
    if task == "classification":
        split = "train" if "train" in source.splits else next(iter(source.splits))
        counts = data.class_counts(source, split)
        counted = f"# {counts_line(counts, 'training images')}\n"
        balanced = max(counts.values()) >= 3 * max(1, min(counts.values()))
        weights = f"  class_weights: {'balanced' if balanced else 'none'}\n"
    return f"""\
# The whole road for {json.dumps(dataset, ensure_ascii=False)}: {command} {name}.yaml
{counted}# What is not named here has its default; `micronet train --help` and `micronet quantize
# --help` explain the settings. The run keeps a copy with all of them in pipeline.yaml.
out: {json.dumps(f"out/{name}", ensure_ascii=False)}

data:
  dataset: {json.dumps(dataset, ensure_ascii=False)}

model:
  network: m0  # m0, m1, m2, m3: each knows more and costs more
  # weights: imagenet  # or best.keras of another run, with skip_head: true for other classes

training:
  task: {task}
  preset: quick
  image_size: {size}
  batch_size: {batch}
  epochs: {epochs}
  learning_rate: {recipe.learning_rate}
{weights}
quantization:
  mode: ptq  # qat fine-tunes, for where ptq loses too much

target:
  board: cortex-m4  # emulated, to count on: {", ".join(BOARDS)}, none
  platform: none  # writes a firmware project: {", ".join(PLATFORMS)}
"""


def _task_of(dataset: str) -> tuple[str, data.Source]:
    try:
        source = data.load_dataset(dataset)
        return ("classification" if source.has_labels else "detection"), source
    except UserError as first:
        # A folder without classes may hold pictures with annotations.
        kind = TASKS["detection"].annotations
        try:
            return "detection", data.load_dataset(dataset, annotations=kind)
        except UserError:
            raise first from None
