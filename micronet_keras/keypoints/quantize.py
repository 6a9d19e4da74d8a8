"""Quantizing a heatmap model, from the trained model to the quantized graph."""

import dataclasses
import os
import shutil

import keras

from micronet_keras.data import Source
from micronet_keras.keypoints.config import KEYPOINT_RECIPES, KeypointConfig
from micronet_keras.keypoints.people import load_people
from micronet_keras.keypoints.pipeline import eval_batches, train_batches, validation_batches
from micronet_keras.keypoints.skeleton import KEYPOINT_NAMES
from micronet_keras.losses import HeatmapLoss
from micronet_keras.lower import lower
from micronet_keras.quantize import (
    QuantizeConfig,
    QuantizedGraph,
    fine_tune,
    post_training_quantize,
    quantize_aware,
)
from micronet_mcu.errors import UserError


def quantize_keypoints(
    model: keras.Model,
    source: Source,
    config: QuantizeConfig,
    backup: str | os.PathLike,
    verbose: int | str = "auto",
    recipe: KeypointConfig | None = None,
) -> QuantizedGraph:
    """Quantizes `model`, with fine-tuning when ``config.epochs`` is above 0.

    The counterpart of `micronet_keras.quantize.quantize_classifier`.

    Args:
        model: a trained model of `KeypointModel`.
        source: the dataset that it was trained on.
        config: see `QuantizeConfig`; `min_scale` has no meaning here.
        backup: folder for the state of an unfinished fine-tuning; the same call resumes from it.
        verbose: progress as of ``keras.Model.fit``.
        recipe: augmentation and `sigma` that it was trained with. None takes the one of
            `KEYPOINT_RECIPES` with crops of this height, or "quick".

    Raises:
        UserError: the dataset has no keypoints, no such split or too few people.
        ValueError: a layer cannot be lowered.

    Example:

    >>> quantized = quantize_keypoints(model, source, QuantizeConfig(), "out/backup")
    """
    source = config.splits(source)
    graph = lower(model)
    height, width = graph.input.shape[:2]
    if recipe is None:
        fitting = [known for known in KEYPOINT_RECIPES.values() if known.image_size == height]
        recipe = fitting[0] if fitting else KEYPOINT_RECIPES["quick"]
    recipe = dataclasses.replace(
        recipe,
        image_size=height,
        image_width=width,
        batch_size=config.batch_size,
        epochs=max(config.epochs, 1),
        warmup_epochs=0,
        seed=config.seed,
    )
    people = load_people(config.train_split, on_bad_record=recipe.on_bad_record, source=source)
    calibration = eval_batches(people, recipe, limit=config.calibration_images)
    images = [batch["image"] for batch in calibration.as_numpy_iterator()]
    sample = images[0][0].copy()
    if config.epochs == 0:
        quantized = post_training_quantize(graph, images, KEYPOINT_NAMES)
        return dataclasses.replace(quantized, sample=sample)
    steps = len(people) // config.batch_size
    if steps == 0:
        raise UserError(f"{people.summary()}: fewer than a batch of {config.batch_size}")
    validation = None
    if config.validation_split:
        watched = load_people(
            config.validation_split, on_bad_record=recipe.on_bad_record, source=source
        )
        validation = validation_batches(watched, recipe)
    qat = quantize_aware(graph, images)
    fine_tune(
        qat,
        lambda first_epoch: train_batches(people, recipe, first_epoch),
        steps,
        config.epochs,
        config.unfinished(backup, graph, source),
        config.learning_rate,
        validation,
        verbose,
        HeatmapLoss(recipe.sigma),
    )
    shutil.rmtree(backup, ignore_errors=True)
    return dataclasses.replace(qat.quantized_graph(KEYPOINT_NAMES), sample=sample)
