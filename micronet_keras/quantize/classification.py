"""Quantizing an image classifier on a dataset, from the trained model to the quantized graph."""

import dataclasses
import hashlib
import os
import shutil
from pathlib import Path

import keras
import numpy as np

from micronet_keras import data
from micronet_keras.lower import Graph, lower
from micronet_keras.quantize.calibrate import post_training_quantize
from micronet_keras.quantize.qat import fine_tune, quantize_aware
from micronet_keras.quantize.quantized_graph import QuantizedGraph
from micronet_keras.settings import documented, setting
from micronet_mcu.errors import UserError


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """How a classifier is quantized.

    Raises:
        UserError: a field is out of its range.
    """

    epochs: int = setting(
        1, "epochs of quantization-aware training; 0 is post-training quantization"
    )
    batch_size: int = setting(64, "images per step")
    learning_rate: float = setting(
        1e-5,
        "learning rate at the start, small as batch norms are folded; it falls to 0 along a cosine",
    )
    calibration_images: int = setting(512, "training images that give the first ranges")
    min_scale: float = setting(0.5, "smallest share of the area that random crops keep")
    seed: int = setting(0, "of order and augmentation of the fine-tuning")
    on_bad_image: str = setting(
        "skip", "what to do with an image that does not decode: skip, error"
    )
    train_split: str = setting("train", "the split to calibrate and train on")
    validation_split: str = setting(
        "validation", "the split that chooses the best epoch; empty takes the last one"
    )
    hold_out: int = setting(
        10,
        "where the dataset has no such validation split, every so many-th training image is "
        "set aside for it, as in training; 0 is off",
    )

    def __post_init__(self):
        smallest_values = {"epochs": 0, "batch_size": 1, "calibration_images": 1, "hold_out": 0}
        for name, smallest in smallest_values.items():
            if getattr(self, name) < smallest:
                raise UserError(f"{name} must be at least {smallest}, not {getattr(self, name)}")
        if self.on_bad_image not in ("skip", "error"):
            raise UserError(f"on_bad_image must be skip or error, not {self.on_bad_image!r}")
        if not 0 < self.learning_rate < float("inf"):
            raise UserError(f"learning_rate must be above 0, not {self.learning_rate}")
        if self.hold_out == 1:
            raise UserError("hold_out must be 0 or at least 2, not 1: nothing would be left")
        if not 0 < self.min_scale <= 1:
            raise UserError(f"min_scale must be above 0 and at most 1, not {self.min_scale}")

    def splits(self, source: data.Source) -> data.Source:
        """`source`, with a validation split when one is wanted for choosing the best epoch."""
        if not self.epochs or not self.validation_split:
            return source
        return data.hold_out_validation(
            source, self.train_split, self.validation_split, self.hold_out
        )

    def unfinished(self, backup: str | os.PathLike, graph: Graph, source: data.Source) -> Path:
        """Folder in `backup` for the state of this fine-tuning.

        Only what was begun with the same weights, settings and dataset may be continued.
        """
        digest = hashlib.sha256(f"{self} {source.name}".encode())
        for node in graph:
            for value in vars(node).values():
                digest.update(
                    value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
                )
        return Path(backup, digest.hexdigest()[:16])


def quantize_classifier(
    model: keras.Model,
    source: data.Source,
    config: QuantizeConfig,
    backup: str | os.PathLike,
    verbose: int | str = "auto",
) -> QuantizedGraph:
    """Quantizes `model`, with fine-tuning when ``config.epochs`` is above 0.

    Args:
        model: a trained classifier that takes what `preprocess_input` returns.
        source: the dataset that it was trained on.
        config: see `QuantizeConfig`.
        backup: folder for the state of an unfinished fine-tuning; the same call resumes from it.
        verbose: progress as of ``keras.Model.fit``.

    Raises:
        UserError: the dataset has no such split, too few images, or another number of classes; a
            layer cannot be lowered.

    Example:

    >>> quantized = quantize_classifier(model, load_dataset(), QuantizeConfig(), "out/backup")
    >>> quantized.save("out/model.npz")
    """
    classes = model.output_shape[-1]
    if classes != len(source.class_names):
        raise UserError(
            f"the model has {classes} classes, dataset {source.name} has "
            f"{len(source.class_names)}; choose the dataset that it was trained on"
        )
    try:
        graph = lower(model)
    except ValueError as error:
        raise UserError(f"{model.name} cannot be quantized: {error}") from error
    if graph.input.shape[0] != graph.input.shape[1]:
        raise UserError(f"the images must be square, the model takes {graph.input.shape}")
    size = graph.input.shape[0]

    source = config.splits(source)
    # A small dataset is one batch.
    batch_size = min(config.batch_size, source.splits.get(config.train_split, config.batch_size))

    def batches(first_epoch: int):
        return data.train_batches(
            source,
            config.train_split,
            size,
            batch_size,
            config.seed,
            first_epoch,
            max(config.epochs, 1),
            min_scale=config.min_scale,
            on_bad_image=config.on_bad_image,
        )

    wanted = -(-config.calibration_images // batch_size)
    images = [pixels for pixels, _ in batches(0).take(wanted).as_numpy_iterator()]
    if config.epochs == 0:
        quantized = post_training_quantize(graph, images, source.class_names)
        return dataclasses.replace(quantized, sample=images[0][0])

    validation = None
    if config.validation_split:
        validation = data.eval_batches(
            source,
            config.validation_split,
            size,
            config.batch_size,
            on_bad_image=config.on_bad_image,
        )
    steps = source.splits[config.train_split] // batch_size
    qat = quantize_aware(graph, images)
    state = config.unfinished(backup, graph, source)
    fine_tune(qat, batches, steps, config.epochs, state, config.learning_rate, validation, verbose)
    shutil.rmtree(backup, ignore_errors=True)
    return dataclasses.replace(
        qat.quantized_graph(source.class_names), sample=np.array(images[0][0])
    )
