"""Quantizing what a run has trained, from its folder to the quantized graph."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from micronet_keras.data import Source, spread
from micronet_keras.lower import Graph, lower
from micronet_keras.quantize.calibrate import post_training_quantize
from micronet_keras.quantize.fine_tune import fine_tune
from micronet_keras.quantize.qat import quantize_aware
from micronet_keras.quantize.quantized_graph import QuantizedGraph
from micronet_keras.tasks import TASKS
from micronet_keras.tasks.task import Task
from micronet_keras.train.run import Run, read_run
from micronet_mcu.errors import UserError
from micronet_settings.quantization import QuantizeConfig
from micronet_settings.training import replace

# What the model takes, see `TrainConfig.preprocessing`, as `lower` calls it; the int8 input is
# pixel - 128 in either case.
NORMALIZATION = {"imagenet": "imagenet", "none": "pixels"}


def quantize(
    run: str | os.PathLike | Run,
    config: QuantizeConfig = QuantizeConfig(),  # noqa: B008 (frozen)
    *,
    backup: str | os.PathLike | None = None,
    source: Source | None = None,
    tasks: Mapping[str, Task] = TASKS,
    verbose: int | str = "auto",
) -> QuantizedGraph:
    """Quantizes the best model of a run, with fine-tuning when ``config.epochs`` is above 0.

    Flips, crops, loss, splits and preprocessing are those of the run.

    Args:
        run: the folder that `train` wrote, or what `read_run` returned.
        config: see `QuantizeConfig`.
        backup: folder for the state of an unfinished fine-tuning; the same call resumes from it.
            It is the caller's to remove when the result is safe. When None it is in the run's
            folder, until the fine-tuning is done.
        source: instead of the run's dataset, see `Run.source`.
        tasks: the tasks that are known, by name.
        verbose: progress as of ``keras.Model.fit``.

    Raises:
        UserError: there is no such run, its dataset is missing or has too few images, or a layer
            cannot be lowered.

    Example:

    >>> quantized = quantize("out/m0", QuantizeConfig(epochs=0))
    >>> quantized.save("out/m0/ptq.npz")
    >>> quantized.class_names
    ('green', 'red')
    """
    run = read_run(run, tasks)
    task, source, model = run.task, run.source(source), run.model()
    settings = _fine_tuning(run, config)
    task.check(model, source, settings)
    try:
        graph = lower(model, normalization=NORMALIZATION[settings.training.preprocessing])
    except ValueError as error:
        raise UserError(f"{run.folder.best} cannot be quantized: {error}") from error
    images = calibration_images(task, source, settings, config.calibration_images)
    more = {"task": task.name, "sample": np.array(images[0][0])}
    if not config.epochs:
        quantized = post_training_quantize(graph, images, run.class_names)
        return dataclasses.replace(quantized, **more)
    folder = Path(backup or run.folder.folder / "quantize.unfinished")
    qat = _fine_tuned(run, model, graph, images, source, settings, config, folder, verbose)
    if backup is None:
        shutil.rmtree(folder, ignore_errors=True)
    return dataclasses.replace(qat.quantized_graph(run.class_names), **more)


def _fine_tuning(run: Run, config: QuantizeConfig):
    """The run's settings with the length and the seed of the fine-tuning."""
    return replace(
        run.config,
        batch_size=config.batch_size,
        epochs=max(config.epochs, 1),
        warmup_epochs=0,
        seed=config.seed,
    )


def calibration_images(task: Task, source: Source, config: Any, count: int) -> list[np.ndarray]:
    """Training images from all over the split, whole, as they are met at inference.

    Args:
        task, source, config: as of `train`.
        count: of records that are looked at; a record may hold no usable image, or several.

    Returns:
        Batches uint8 [n, height, width, 3].

    Raises:
        UserError: there is no such split, or no image in it decodes.
    """
    split = config.training.train_split
    examples = task.examples(spread(source, split, count), split, config)
    batches = task.batches(examples, config, training=False)
    batches = batches.map(lambda pixels, _: pixels).unbatch().take(count)
    batches = batches.batch(config.training.batch_size)
    images = list(batches.as_numpy_iterator())
    if not images:
        raise UserError(f"no image decodes: {examples.summary()}")
    return images


def _fine_tuned(run, model, graph, images, source, settings, config, backup, verbose):
    task = run.task
    examples = task.examples(source, settings.training.train_split, settings)
    # A small dataset is one batch.
    batch_size = min(settings.training.batch_size, len(examples))
    settings = replace(settings, batch_size=batch_size)
    watched = task.examples(source, settings.training.validation_split, settings)
    qat = quantize_aware(graph, images, config.engine)
    fine_tune(
        qat,
        lambda first_epoch: task.batches(
            examples, settings, training=True, first_epoch=first_epoch
        ),
        loss=task.loss(model, settings),
        metrics=task.fine_tuning_metrics,
        validation=task.batches(watched, settings, training=False),
        steps_per_epoch=len(examples) // batch_size,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        backup=backup / _digest(graph, config, run),
        verbose=verbose,
    )
    return qat


def _digest(graph: Graph, config: QuantizeConfig, run: Run) -> str:
    """Only what was begun with the same weights, settings and dataset may be continued."""
    digest = hashlib.sha256(f"{config} {run.config} {run.dataset}".encode())
    for node in graph:
        for value in vars(node).values():
            digest.update(
                value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            )
    return digest.hexdigest()[:16]
