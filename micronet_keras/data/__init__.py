"""Datasets: the bundled one, those of TFDS, folders of images; batches for the models."""

from micronet_keras.data.counts import balanced_weights, class_counts
from micronet_keras.data.decoding import BadImages
from micronet_keras.data.hold_out import hold_out_validation, spread
from micronet_keras.data.micronet_shapes import MicronetShapes, ShapesConfig
from micronet_keras.data.notebook import as_source, fit_arguments
from micronet_keras.data.part import Part
from micronet_keras.data.pipeline import eval_batches, shuffled_epochs, train_batches
from micronet_keras.data.sources import DEFAULT_DATASET, Source, load_dataset

__all__ = [
    "DEFAULT_DATASET",
    "BadImages",
    "MicronetShapes",
    "Part",
    "ShapesConfig",
    "Source",
    "as_source",
    "balanced_weights",
    "class_counts",
    "eval_batches",
    "fit_arguments",
    "hold_out_validation",
    "load_dataset",
    "shuffled_epochs",
    "spread",
    "train_batches",
]


def __dir__() -> list[str]:
    return list(__all__)
