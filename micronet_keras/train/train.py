"""Training a model for any task, from the first step to the summary."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from micronet_keras.data import Part, Source, hold_out_validation
from micronet_keras.distribution import (
    check_spread,
    copied_files,
    devices_in_use,
    process_count,
    process_index,
)
from micronet_keras.models import count_madds
from micronet_keras.tasks.task import Examples, Task, model_input
from micronet_keras.train.loop import run_training
from micronet_keras.train.plot import plot_history
from micronet_keras.train.run_folder import RunFolder
from micronet_mcu.errors import UserError
from micronet_mcu.folders import MARKER
from micronet_mcu.locks import locked
from micronet_mcu.shown import Shown, Table
from micronet_settings.training import TrainConfig


@dataclasses.dataclass(frozen=True, repr=False)
class TrainResult(Shown):
    """What `train` returns.

    Attributes:
        history: one dict per epoch (the rows of `history.csv`).
        summary: the content of `summary.json`; shares are from 0 to 1.
        trained: False where the run was finished before and nothing was done.
    """

    history: list[dict]
    summary: dict
    trained: bool

    def facts(self) -> list[tuple[str, str]]:
        return [(name.replace("_", " "), f"{value}") for name, value in self.summary.items()]

    def tables(self) -> list[Table]:
        columns = tuple(self.history[0]) if self.history else ()
        return [Table(columns, [tuple(row.values()) for row in self.history])] if columns else []


def train(
    task: Task,
    model: keras.Model,
    source: Source,
    config: Any,
    out_dir: str | os.PathLike,
    *,
    settings: dict | None = None,
    force: bool = False,
    after_epoch: Callable[[list[dict]], None] | None = None,
) -> TrainResult:
    """Trains a model, resumes it, or returns the result of a finished run.

    The same call continues a run that was killed, after its last finished epoch, with the same end
    result (call `make_repeatable(config.training)` before the model is built). Afterwards `model`
    holds the weights of the best epoch.

    Args:
        task: e.g. `micronet_keras.tasks.CLASSIFICATION`.
        model: of `task.build`, or any Keras model that `task.check` accepts. Not compiled by the
            caller.
        source: what `micronet_keras.data.load_dataset` returns.
        config: of the task: one of `task.recipes`, or a changed copy.
        out_dir: folder of the run; see `RunFolder` for what is written.
        settings: more that decides the result, recorded in `config.json` and compared when the run
            is resumed, e.g. `{"model": "m0"}`. JSON values.
        force: discard an earlier run in `out_dir`.
        after_epoch: is given the history when an epoch has been saved.

    Where `keras.distribution` is set (`DataParallel`, on JAX, before the model is built) the run is
    spread over its devices and processes, each of which makes this call; see docs/scale.md. The
    result is the same up to rounding, and only process 0 writes to `out_dir`.

    Returns:
        `TrainResult(history, summary, trained)`; the summary has the test split's figures.

    Raises:
        UserError: the model does not fit images or classes; the dataset has no such split or too
            few examples; the folder holds a run with other settings, cannot be written or is in
            use by another process; the loss is not finite any more; `keras.distribution` is not
            for this, or a batch cannot be divided among its devices.

    Example:

    >>> from micronet_keras.tasks import CLASSIFICATION, replace
    >>> recipe = CLASSIFICATION.recipes["quick"]
    >>> config = replace(recipe, image_size=32, batch_size=20, epochs=2)
    >>> model = keras.Sequential([
    ...     keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    >>> result = train(CLASSIFICATION, model, source, config, "out/run")
    pictures, train: 54 images: 27 green, 27 red
    Epoch 1/2...
    >>> 0 <= result.summary["test_accuracy"] <= 1
    True
    """
    with contextlib.ExitStack() as stack:
        devices = stack.enter_context(devices_in_use())
        _check_divisible(config.training.batch_size, devices)
        check_spread(model.variables)
        if process_index() == 0:
            stack.enter_context(locked(out_dir))
        run = RunFolder(out_dir)
        kept = [] if force else [MARKER, *(path.name for path in run.files)]
        run = RunFolder(stack.enter_context(copied_files(run.folder, kept)))
        return _train(task, model, source, config, run, devices, settings, force, after_epoch)


def _train(task, model, source, config, run, devices, settings, force, after_epoch) -> TrainResult:
    task.check(model, source, config)
    for note in source.notes:
        print(note, flush=True)
    splits = source.splits
    source = with_validation(source, config.training)
    part = Part(process_index(), process_count())
    source = dataclasses.replace(source, part=part)
    examples = find_examples(task, source, config)
    steps_per_epoch = len(examples[config.training.train_split]) // config.training.batch_size
    if not steps_per_epoch:
        raise UserError(
            f"{examples[config.training.train_split].summary()}: fewer than the "
            f"{config.training.batch_size} of one batch; lower `batch_size`"
        )
    resume = run.open(run_settings(task, source, splits, config, settings), force)
    train_examples = examples[config.training.train_split]
    if contents := task.contents(train_examples):
        print(f"{source.name}, {train_examples.split}: {contents}", flush=True)
    history = run_training(
        on_pixels(model, config),
        loss=task.loss(model, config),
        metrics=task.metrics(model),
        monitor=f"val_{task.monitor}",
        train_data=lambda first_epoch: _training_batches(task, train_examples, config, first_epoch),
        steps_per_epoch=steps_per_epoch,
        validation_data=_validation_batches(
            task, examples[config.training.validation_split], config, devices
        ),
        config=config.training,
        run=run,
        resume=resume,
        saved_model=model,
        after_epoch=after_epoch,
    )
    run.load_best(model)
    summary = run.read_summary()
    if summary is not None:
        return TrainResult(history, summary, trained=False)
    summary = _summary(task, model, source, config, history, steps_per_epoch)
    title = f"{model.name} on {source.name}"
    if config.training.test_split:
        measured = task.measure(
            task.predictor(model, config), examples[config.training.test_split], config
        )
        summary |= {f"test_{name}": value for name, value in measured.figures.items()}
        measured.draw(run.predictions, f"{title}, {config.training.test_split}")
    plot_history(history, run.curve, title=title, metric=task.monitor)
    run.write_summary(summary)
    return TrainResult(history, summary, trained=True)


def _check_divisible(batch_size: int, devices: int) -> None:
    if devices and batch_size % devices:
        raise UserError(
            f"a batch of {batch_size} cannot be divided among {devices} devices; choose a "
            "--batch_size that can"
        )


def _training_batches(task, examples, config, first_epoch):
    batches = task.batches(examples, config, training=True, first_epoch=first_epoch)
    wanted = config.training.batch_size // examples.source.part.count
    made = batches.element_spec[0].shape[0]
    if examples.source.part.count > 1 and made != wanted:
        raise ValueError(
            f"the training batches of task {task.name} must be the rows of source.part, {wanted}. "
            f"Received: {made}"
        )
    return batches


def _validation_batches(task, examples, config, devices):
    """Those of the task; where devices share them, all of one size, the last one filled up.

    What fills it up has weight 0. Keras divides the loss by all rows of an epoch, so that the
    others weigh a little more than 1: the sum is that of the examples, each counted once. The
    metrics know what is no example by its targets.
    """
    batches = task.batches(examples, config, training=False)
    if not devices:
        return batches
    size = config.training.batch_size
    weight = -(-len(examples) // size) * size / len(examples)

    def filled(pixels, targets):
        count = tf.shape(pixels)[0]

        def fill(tensor, value):
            rows = [[0, size - count]] + [[0, 0]] * (tensor.shape.rank - 1)
            full = tf.pad(tensor, rows, constant_values=tf.cast(value, tensor.dtype))
            return tf.ensure_shape(full, (size, *tensor.shape[1:]))

        weights = fill(tf.fill((count,), tf.constant(weight, tf.float32)), 0)
        return fill(pixels, 0), fill(targets, task.padding), weights

    return examples.source.part.of(batches.map(filled), size).prefetch(tf.data.AUTOTUNE)


def with_validation(source: Source, config: TrainConfig) -> Source:
    """`source` with the three splits of a run, see `micronet_keras.data.hold_out_validation`.

    Raises:
        UserError: one of the three splits does not exist and cannot be made.
    """
    if config.test_split and config.test_split not in source.splits:
        raise UserError(
            f"dataset {source.name} has no split {config.test_split!r}; choose `test_split` "
            f"among: {', '.join(source.splits)}"
        )
    return hold_out_validation(source, config.train_split, config.validation_split, config.hold_out)


def find_examples(task: Task, source: Source, config: Any) -> dict[str, Examples]:
    """The examples of a run's splits; what is left out is printed.

    Raises:
        UserError: there is no such split, or nothing usable in it.
    """
    training = config.training
    wanted = (training.train_split, training.validation_split, training.test_split)
    found = {split: task.examples(source, split, config) for split in wanted if split}
    for examples in found.values():
        if examples.problems:
            print(examples.summary(), flush=True)
    return found


def on_pixels(model: keras.Model, config: Any) -> keras.Model:
    """`model` with its preprocessing in front.

    The pipeline hands over whole pixels: scaled inside the model, no floats have to be moved.
    """
    pixels = keras.Input((*config.training.size, 3), dtype="uint8")
    return keras.Model(pixels, model(model_input(pixels, config)))


def run_settings(
    task: Task, source: Source, splits: dict[str, int], config: Any, more: dict | None
) -> dict:
    """What config.json holds: all that decides the result."""
    return {
        "task": task.name,
        **(more or {}),
        "dataset": source.name,
        "data_dir": source.data_dir,
        "class_names": list(task.class_names(source)),
        "examples": splits,
        "config": dataclasses.asdict(config),
    }


def _summary(task, model, source, config, history, steps_per_epoch) -> dict:
    monitor = f"val_{task.monitor}"
    best = max(history, key=lambda row: row[monitor])
    seconds = sum(row["seconds"] for row in history)
    images = len(history) * steps_per_epoch * config.training.batch_size
    return {
        "task": task.name,
        "model": model.name,
        "dataset": source.name,
        "parameters": model.count_params(),
        "madds": count_madds(model).total,
        "epochs": len(history),
        "best_epoch": best["epoch"],
        f"best_{monitor}": best[monitor],
        f"last_{monitor}": history[-1][monitor],
        "seconds": round(seconds, 1),
        "images_per_second": round(images / seconds, 1),
    }
