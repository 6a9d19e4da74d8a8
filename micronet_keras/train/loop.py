"""The training loop: Keras' `fit`, stopped and resumed exactly, whatever the task."""

import contextlib
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator

import keras

from micronet_keras.train import checkpoint
from micronet_keras.train.average import WeightAverage
from micronet_keras.train.optimizer import MomentumSGD, learning_rate_schedule
from micronet_keras.train.run_folder import RunFolder, TensorBoardLog
from micronet_mcu.errors import UserError
from micronet_settings.training import TrainConfig


def make_repeatable(config: TrainConfig) -> None:
    """Sets the seeds of Python, numpy and Keras; call it before the model is built.

    With `config.deterministic` TensorFlow is also told to use only operations that repeat bit for
    bit on the same machine. That holds for the rest of the process.
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def jit_compile() -> bool | str:
    """What to give to `compile`: XLA on a CPU is several times slower than TensorFlow's kernels."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            return False
    return "auto"


def run_training(
    model: keras.Model,
    *,
    loss,
    metrics: list,
    monitor: str,
    train_data: Callable[[int], object],
    steps_per_epoch: int,
    validation_data,
    config: TrainConfig,
    run: RunFolder,
    resume: bool,
    saved_model: keras.Model | None = None,
    after_epoch: Callable[[list[dict]], None] | None = None,
) -> list[dict]:
    """Trains `model` up to `config.epochs`, going on after the last finished epoch of the run.

    After every epoch `last.keras`, `history.csv`, the TensorBoard log and, after the best so far,
    `best.keras` are written. A run that was killed ends bit for bit like an uninterrupted one when
    the data are a function of the epoch, operations are deterministic (`make_repeatable`) and all
    randomness comes from seed generators that layers own, as in Keras' layers.

    Args:
        model: is compiled here.
        loss: as for `compile`.
        metrics: as for `compile`.
        monitor: column of the history, higher is better, that chooses the best epoch.
        train_data: from the first epoch to run (0-based) to an endless or long enough stream of
            batches that starts there.
        steps_per_epoch: batches per epoch, at least 1.
        validation_data: as for `fit`.
        config: the numbers of the recipe.
        run: an opened folder.
        resume: what `run.open` returned.
        saved_model: what the checkpoints hold; `model` by default. Shares its layers with `model`.
        after_epoch: is given the history so far when an epoch's files are written. What it raises
            ends the run, which the same call resumes.

    Returns:
        One dict per epoch: `epoch` (from 1), `learning_rate` (of the epoch's last step), `loss`,
        the metrics, the same with `val_` in front, `seconds`.

    Raises:
        UserError: the loss or a weight is not finite any more (the checkpoints hold the last good
            state), a file cannot be written, or the checkpoint is damaged.
        ValueError: the model is not built, or the data end early.
    """
    if not model.built:
        raise ValueError(f"the model must be built. Received: {model.name} without an input shape")
    schedule = learning_rate_schedule(config, steps_per_epoch)
    model.compile(
        optimizer=MomentumSGD(schedule, config.momentum, config.weight_decay),
        loss=loss,
        metrics=metrics,
        jit_compile=jit_compile(),
    )
    model.optimizer.build(model.trainable_variables)
    average = WeightAverage(config.ema) if config.ema else None
    if average:
        average.build(model)

    variables = checkpoint.training_variables(model, average)
    history: list[dict] = []
    if resume:
        arrays, history = checkpoint.read_checkpoint(run.last)
        checkpoint.restore(variables, arrays, run.last)
        if len(history) > config.epochs or any(monitor not in row for row in history):
            raise UserError(f"{run.last} has the history of another run; `force=True` starts anew")
    first_epoch = len(history)
    if first_epoch == config.epochs:
        return history
    stream = train_data(first_epoch)
    run.claim()
    if first_epoch:
        print(f"resuming after epoch {first_epoch} of {config.epochs}", flush=True)
        run.write_history(history)
    keeper = _Keeper(
        run, variables, average, history, monitor, schedule, saved_model or model, after_epoch
    )
    with data_of_any_length():
        model.fit(
            stream,
            validation_data=validation_data,
            initial_epoch=first_epoch,
            epochs=config.epochs,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            callbacks=[_Guard(run, steps_per_epoch), *([average] if average else []), keeper],
            verbose=1 if sys.stdout.isatty() else 2,
        )
    return history


@contextlib.contextmanager
def data_of_any_length() -> Iterator[None]:
    """Silences Keras' warning about data that end unexpectedly.

    It comes whenever a dataset does not know its length, as one that leaves out bad images.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Your input ran out of data")
        yield


class _Guard(keras.callbacks.Callback):
    """Ends the run at the first step with a loss that is not finite, or when the data end early."""

    # Reads nothing but its arguments, so that Keras need not wait for it after every step.
    async_safe = True

    def __init__(self, run: RunFolder, steps_per_epoch: int):
        super().__init__()
        self._run = run
        self._steps_per_epoch = steps_per_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._steps = 0

    def on_epoch_end(self, epoch, logs=None):
        if self._steps != self._steps_per_epoch:
            raise ValueError(
                f"the training data must have {self._steps_per_epoch} batches per epoch. "
                f"Received: {self._steps} in epoch {epoch + 1}"
            )

    def on_train_batch_end(self, batch, logs=None):
        self._steps = batch + 1
        if not math.isfinite(logs["loss"]):
            raise _not_finite(
                self._run, f"the loss became {logs['loss']}", self._epoch, self._steps
            )


class _Keeper(keras.callbacks.Callback):
    """After every epoch: checks the result, then saves and logs it."""

    def __init__(
        self, run, variables, average, history, monitor, schedule, saved_model, after_epoch
    ):
        super().__init__()
        self._run = run
        self._variables = variables
        self._average = average
        self._history = history
        self._monitor = monitor
        self._schedule = schedule
        self._saved_model = saved_model
        self._after_epoch = after_epoch
        self._log = TensorBoardLog(run.tensorboard, history)

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in logs.items()}
        arrays = checkpoint.capture(self._variables)
        wrong = [name for name, value in logs.items() if not math.isfinite(value)]
        if wrong:
            raise _not_finite(self._run, f"{wrong[0]} is {logs[wrong[0]]}", epoch)
        if not checkpoint.all_finite(arrays):
            raise _not_finite(self._run, "a weight is not a finite number", epoch)

        last_step = int(self.model.optimizer.iterations) - 1
        row = {
            "epoch": epoch + 1,
            "learning_rate": float(self._schedule(last_step)),
            **logs,
            "seconds": round(time.perf_counter() - self._started, 3),
        }
        best_so_far = max((row[self._monitor] for row in self._history), default=-math.inf)
        self._history.append(row)
        if self._average:
            with self._average.applied():
                self._save(arrays, row[self._monitor] > best_so_far)
        else:
            self._save(arrays, row[self._monitor] > best_so_far)
        self._run.write_history(self._history)
        self._log.add(row)
        if self._after_epoch:
            self._after_epoch(list(self._history))

    def _save(self, arrays, is_best: bool):
        # The best model first: killed in between, the epoch is run and saved once more.
        if is_best:
            checkpoint.save_checkpoint(self._run.best, self._saved_model)
        checkpoint.save_checkpoint(self._run.last, self._saved_model, arrays, self._history)

    def on_train_end(self, logs=None):
        self._log.close()


def _not_finite(run: RunFolder, what: str, epoch: int, step: int | None = None) -> UserError:
    where = f"epoch {epoch + 1}" + (f", step {step}" if step else "")
    kept = f"{run.last} is from the epoch before" if run.last.exists() else "no epoch was finished"
    return UserError(
        f"training stopped in {where}: {what}; {kept}; "
        "start anew with a lower `learning_rate` or a longer warm-up"
    )
