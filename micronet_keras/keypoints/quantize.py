"""Quantizing a heatmap model, from the trained model to the quantized graph."""

import dataclasses
import os

import keras

from micronet_keras.data import Source
from micronet_keras.errors import UserError
from micronet_keras.keypoints.config import KeypointConfig
from micronet_keras.keypoints.loss import HeatmapLoss
from micronet_keras.keypoints.people import load_people
from micronet_keras.keypoints.pipeline import eval_batches, train_batches
from micronet_keras.keypoints.skeleton import KEYPOINT_NAMES
from micronet_keras.lower import lower
from micronet_keras.quantize import (
    QuantizeConfig,
    QuantizedGraph,
    fine_tune,
    post_training_quantize,
    quantize_aware,
)


def quantize_keypoints(
    model: keras.Model,
    source: Source,
    config: KeypointConfig,
    quantization: QuantizeConfig,
    backup: str | os.PathLike,
    verbose: int | str = "auto",
) -> QuantizedGraph:
    """Quantizes `model`, with fine-tuning when ``quantization.epochs`` is above 0.

    The counterpart of `micronet_keras.quantize.quantize_classifier`.

    Args:
        model: a trained model of `KeypointModel`.
        source: the dataset that it was trained on.
        config: what it was trained with: augmentation and `sigma`. The size of the crops is taken
            from the model.
        quantization: see `QuantizeConfig`; `min_scale` has no meaning here.
        backup: folder for the state of an unfinished fine-tuning; the same call resumes from it.
        verbose: progress as of ``keras.Model.fit``.

    Raises:
        UserError: the dataset has no keypoints, no such split or too few people.
        ValueError: a layer cannot be lowered.

    Example:

    >>> recipe = KEYPOINT_RECIPES["quick"]
    >>> quantized = quantize_keypoints(model, source, recipe, QuantizeConfig(), "out/backup")
    """
    graph = lower(model)
    config = dataclasses.replace(
        config,
        image_size=graph.input.shape[0],
        image_width=graph.input.shape[1],
        batch_size=quantization.batch_size,
        epochs=max(quantization.epochs, 1),
        warmup_epochs=0,
        seed=quantization.seed,
    )
    people = load_people(
        quantization.train_split, on_bad_record=config.on_bad_record, source=source
    )
    calibration = eval_batches(people, config, limit=quantization.calibration_images)
    images = [batch["image"] for batch in calibration.as_numpy_iterator()]
    sample = images[0][0].copy()
    if quantization.epochs == 0:
        quantized = post_training_quantize(graph, images, KEYPOINT_NAMES)
        return dataclasses.replace(quantized, sample=sample)
    steps = len(people) // config.batch_size
    if steps == 0:
        raise UserError(f"{people.summary()}: fewer than a batch of {config.batch_size}")
    validation = None
    if quantization.validation_split:
        watched = load_people(
            quantization.validation_split, on_bad_record=config.on_bad_record, source=source
        )
        validation = eval_batches(watched, config).map(
            lambda batch: (batch["image"], batch["target"])
        )
    qat = quantize_aware(graph, images)
    fine_tune(
        qat,
        lambda first_epoch: train_batches(people, config, first_epoch),
        steps,
        quantization.epochs,
        backup,
        quantization.learning_rate,
        validation,
        verbose,
        HeatmapLoss(config.sigma),
    )
    return dataclasses.replace(qat.quantized_graph(KEYPOINT_NAMES), sample=sample)
