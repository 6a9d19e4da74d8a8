"""Quantization-aware training that survives being killed, and keeps the best epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from micronet_keras.quantize.legacy_keras import tf_keras
from micronet_keras.quantize.qat import QuantizeAwareModel
from micronet_mcu.errors import UserError


def fine_tune(
    qat: QuantizeAwareModel,
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
        batches: from the epoch to begin with to a stream of (pixels uint8, targets) batches.
        loss: of either Keras.
        metrics: names of tf_keras metrics. With "accuracy" the best epoch is that of the highest,
            else that of the lowest loss.
        validation: (pixels, targets) batches, evaluated before the first and after each epoch.
        steps_per_epoch: batches of an epoch.
        epochs: epochs in all.
        learning_rate: at the start; it falls to 0. With the batch norms folded, a channel whose
            inputs vary widely has a small kernel and large gradients: ten times as much already
            harms.
        backup: a folder for the state after each epoch, for the caller to remove when the result
            is safe.
        verbose: as of ``keras.Model.fit``.

    Returns:
        The history of the epochs that ran now: one list for each metric.

    Raises:
        UserError: the loss is not a number any more, or `backup` cannot be written or is damaged.
    """
    schedule = tf_keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps_per_epoch)
    optimizer = tf_keras.optimizers.SGD(schedule, momentum=0.9)
    qat.compile(optimizer, loss, metrics=list(metrics))
    optimizer.build(qat.trainable_variables)

    def prepared(pixels, targets):
        return qat.preprocess(pixels), targets

    watched = validation.map(prepared)
    try:
        backups = _Backups(qat, optimizer, backup)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"the state in {backup} is damaged; remove it: {error}") from error
    try:
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
            callbacks=[backups],
        )
        backups.restore_best()
    except (OSError, AssertionError, tf.errors.OpError) as error:
        raise UserError(f"cannot use {backup} for the state of the training: {error}") from error
    return history.history


class _Backups(tf_keras.callbacks.Callback):
    """The states after the last epoch and after the best one, in files of one folder."""

    def __init__(self, qat, optimizer, folder: str | os.PathLike):
        super().__init__()
        self._done = tf.Variable(0, dtype=tf.int64)
        self._best_score = tf.Variable(-np.inf)
        state = tf.train.Checkpoint(
            weights=qat.variables,
            optimizer=list(optimizer.variables),
            epochs_done=self._done,
            best_score=self._best_score,
        )
        self._last = tf.train.CheckpointManager(state, os.fspath(folder), max_to_keep=1)
        self._best = tf.train.Checkpoint(weights=qat.variables)
        self._best_path = os.path.join(folder, "best")
        state.restore(self._last.latest_checkpoint)

    @property
    def epochs_done(self) -> int:
        return int(self._done)

    def keep_if_best(self, logs: dict[str, float]) -> None:
        score = logs["val_accuracy"] if "val_accuracy" in logs else -logs["val_loss"]
        if score > float(self._best_score):
            self._best.write(self._best_path)
            self._best_score.assign(score)

    def restore_best(self) -> None:
        self._best.read(self._best_path).assert_consumed()

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
        self._done.assign(epoch + 1)
        self._last.save()
