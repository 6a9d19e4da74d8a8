"""Quantization-aware training that survives being killed, and keeps the best epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from micronet_keras.quantize.keras_qat import NativeQuantizeAwareModel
from micronet_keras.quantize.qat import QuantizeAwareModel
from micronet_keras.train.loop import jit_compile
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing


def fine_tune(
    qat: QuantizeAwareModel | NativeQuantizeAwareModel,
    batches: Callable[[int], tf.data.Dataset],
    *,
    loss: Callable,
    metrics: Sequence[str] = (),
    validation: tf.data.Dataset,
    steps_per_epoch: int,
    epochs: int,
    learning_rate: float = 1e-5,
    backup: str | os.PathLike,
    verbose: int | str = "auto",
) -> dict[str, list[float]]:
    """Fine-tunes with SGD (momentum 0.9, cosine decay), and resumes where a killed run was.

    The weights of the best epoch are kept, those from before the first epoch among them:
    fine-tuning does not end worse, on the validation data, than quantization without training.

    Args:
        qat: what `quantize_aware` returns.
        batches: from the epoch to begin with to a stream of (pixels uint8, targets) batches, or
            (pixels, targets, weights of the examples).
        loss: of either Keras.
        metrics: names of metrics. With "accuracy" the best epoch is that of the highest, else that
            of the lowest loss.
        validation: (pixels, targets) batches, evaluated before the first and after each epoch.
        steps_per_epoch: batches of an epoch.
        epochs: epochs in all.
        learning_rate: at the start; it falls to 0. See `micronet_keras.quantize.usual` for why it
            is so small.
        backup: a folder for the state after each epoch, for the caller to remove when the result
            is safe.
        verbose: as of ``keras.Model.fit``.

    Returns:
        The history of the epochs that ran now: one list for each metric.

    Raises:
        UserError: the loss is not a number any more, or `backup` cannot be written or is damaged.
    """
    library = qat.library
    schedule = library.optimizers.schedules.CosineDecay(learning_rate, epochs * steps_per_epoch)
    optimizer = library.optimizers.SGD(schedule, momentum=0.9)
    qat.compile(optimizer, loss, metrics=list(metrics), jit_compile=jit_compile())
    optimizer.build(qat.trainable_variables)

    def prepared(pixels, targets, *weights):
        return (qat.preprocess(pixels), targets, *weights)

    watched = validation.map(prepared)
    backups = _Backups(qat, optimizer, backup)
    if not backups.epochs_done:
        started = qat.evaluate(watched, verbose=0, return_dict=True)
        backups.keep_if_best({f"val_{name}": value for name, value in started.items()})
    history = qat.fit(
        batches(backups.epochs_done).map(prepared),
        validation_data=watched,
        steps_per_epoch=steps_per_epoch,
        initial_epoch=backups.epochs_done,
        epochs=epochs,
        verbose=verbose,
        callbacks=[
            library.callbacks.LambdaCallback(
                on_train_batch_end=backups.on_train_batch_end, on_epoch_end=backups.on_epoch_end
            )
        ],
    )
    backups.restore_best()
    return history.history


class _Backups:
    """The states after the last epoch and after the best one, in files of one folder."""

    def __init__(self, qat, optimizer, folder: str | os.PathLike):
        self._weights = list(qat.variables)
        self._variables = [*self._weights, *optimizer.variables]
        self._last, self._best = Path(folder, "last.npz"), Path(folder, "best.npz")
        self.epochs_done, self._best_score = 0, -math.inf
        if self._last.exists():
            self.epochs_done, self._best_score = _read(self._last, self._variables)

    def keep_if_best(self, logs: dict[str, float]) -> None:
        score = float(logs["val_accuracy"] if "val_accuracy" in logs else -logs["val_loss"])
        if score > self._best_score:
            self._write(self._best, self._weights)
            self._best_score = score

    def restore_best(self) -> None:
        _read(self._best, self._weights)

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            raise UserError(
                "the loss is not a number any more; choose a smaller learning rate "
                "(the state after the last whole epoch is kept)"
            )

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" in logs:
            self.keep_if_best(logs)
        # The best first: killed in between, the epoch runs once more and is found the best again.
        self.epochs_done = epoch + 1
        self._write(self._last, self._variables)

    def _write(self, path: Path, variables: Sequence) -> None:
        progress = [self.epochs_done, self._best_score]
        arrays = [np.array(variable) for variable in variables]
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, *arrays, progress=progress)


def _read(path: Path, variables: Sequence) -> tuple[int, float]:
    """Assigns what was written; returns the epochs that were done, and the best score.

    Raises:
        UserError: the file is damaged or of another model.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = [stored[f"arr_{place}"] for place in range(len(variables))]
            epochs_done, best_score = stored["progress"].tolist()
        if [array.shape for array in arrays] != [tuple(each.shape) for each in variables]:
            raise ValueError("it is of another model")
    except Exception as error:  # Of every kind, from zipfile, zlib and numpy.
        raise UserError(f"the state in {path} is damaged; remove it: {error}") from error
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return int(epochs_done), best_score
