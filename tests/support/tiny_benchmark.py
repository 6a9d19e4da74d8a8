"""A suite of one small network on a folder of pictures, of a few seconds."""

import json
from pathlib import Path

import keras
from picture_folders import red_and_green

from micronet_keras import data
from micronet_keras.benchmark import NETWORKS, Runner, read_suite

EPOCHS = 3


def _tiny(shape, classes, dropout):
    image = keras.Input(shape)
    x = keras.layers.Conv2D(4, 3, 4, padding="same", use_bias=False, name="stem")(image)
    x = keras.layers.BatchNormalization(name="stem_bn")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU(6.0)(x))
    x = keras.layers.Dense(classes)(keras.layers.Dropout(dropout)(x))
    return keras.Model(image, x, name="tiny")


NETWORKS["tiny"] = _tiny


def write_suite(folder: Path) -> Path:
    """The suite's file, beside its pictures."""
    path = folder / "tiny.json"
    content = {
        "title": "a test",
        "dataset": str(red_and_green(folder / "pictures")),
        "recipe": {
            "image_size": 32,
            "batch_size": 8,
            "epochs": EPOCHS,
            "learning_rate": 0.1,
            "validation_split": "held_out",
            "hold_out": 5,
        },
        "search": {"learning_rates": [0.05, 0.02], "epochs": 1, "part": 2},
        "queue": [{"models": ["tiny"], "variants": ["as_published"], "seeds": [3]}],
    }
    path.write_text(json.dumps(content))
    return path


def runner(suite: Path, folder: Path, minutes: float | None = None) -> Runner:
    """Of that suite, with results and checkpoints in `folder`."""
    read = read_suite(suite)
    source = data.load_dataset(read.dataset)
    return Runner(read, source, folder / "results", folder / "out", minutes)
