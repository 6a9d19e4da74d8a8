"""The folder of a training run that is over, without the training."""

import json
from pathlib import Path

import keras

from micronet_keras.data import load_dataset
from micronet_keras.tasks import CLASSIFICATION, replace
from micronet_keras.train.train import run_settings


def make_run(folder: Path, model: keras.Model, pictures: Path, **settings) -> Path:
    """A run that ended with this classifier of 32 x 32 pixels, on a folder of pictures."""
    folder.mkdir(parents=True)
    config = replace(CLASSIFICATION.recipes["quick"], image_size=32, batch_size=8, **settings)
    source = load_dataset(str(pictures))
    stored = run_settings(CLASSIFICATION, source, source.splits, config, {"model": "small"})
    (folder / "config.json").write_text(json.dumps(stored))
    model.save(folder / "best.keras")
    return folder
