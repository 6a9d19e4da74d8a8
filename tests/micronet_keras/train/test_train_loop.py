"""A run stopped anywhere ends bit for bit like one that is not; bad ends keep the good state."""

import csv
import dataclasses
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_training
from tiny_training import CONFIG, tiny_model, train

from micronet_keras.losses import SmoothedCrossentropy
from micronet_keras.train import checkpoint
from micronet_keras.train.run_folder import RunFolder
from micronet_mcu.errors import UserError


def _outcome(folder):
    """Everything a run leaves that must not depend on where it was stopped."""
    run = RunFolder(folder)
    arrays, history = checkpoint.read_checkpoint(run.last)
    best = keras.saving.load_model(run.best, compile=False).get_weights()
    last = keras.saving.load_model(run.last, compile=False).get_weights()
    with open(run.history, newline="") as file:
        logged = list(csv.DictReader(file))
    for row in [*history, *logged]:
        del row["seconds"]
    return arrays + best + last, history, logged


def _assert_same(folder, reference):
    arrays, history, logged = _outcome(folder)
    expected_arrays, expected_history, expected_logged = _outcome(reference)
    for have, want in zip(arrays, expected_arrays, strict=True):
        np.testing.assert_array_equal(have, want)
    assert history == expected_history
    assert logged == expected_logged
    assert [row["epoch"] for row in history] == list(range(1, CONFIG.epochs + 1))
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in reference.iterdir()
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(folder)
    return folder


def test_a_run_learns_and_repeats_bit_for_bit(uninterrupted, tmp_path):
    _, history = train(tmp_path)
    _assert_same(tmp_path, uninterrupted)
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["val_accuracy"] > 0.5
    # Last step of the run: one step before the end of the cosine.
    assert 0 < history[-1]["learning_rate"] < 0.01 * CONFIG.learning_rate


def test_another_seed_gives_another_run(uninterrupted, tmp_path):
    train(tmp_path, dataclasses.replace(CONFIG, seed=1, epochs=2))
    assert _outcome(tmp_path)[1][0] != _outcome(uninterrupted)[1][0]


class _Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.slow
@pytest.mark.parametrize("after_calls", [0, 1, 3])
def test_stopped_around_a_save(uninterrupted, tmp_path, monkeypatch, after_calls):
    calls = []

    def save(*arguments):
        if len(calls) == after_calls:
            raise _Killed
        calls.append(arguments)
        saved(*arguments)

    saved = checkpoint.save_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_checkpoint", save)
        with pytest.raises(_Killed):
            train(tmp_path)
    train(tmp_path)
    _assert_same(tmp_path, uninterrupted)


def _power_cut_in(epoch_of_death):
    def spoil(epoch, images):
        if epoch == epoch_of_death:
            raise RuntimeError("power cut")
        return images

    return spoil


@pytest.mark.slow
def test_stopped_in_the_middle_of_epochs_and_before_the_log(uninterrupted, tmp_path, monkeypatch):
    # Once while an epoch runs, and once between the checkpoint and the CSV log.
    with pytest.raises(Exception, match="power cut"):
        train(
            tmp_path,
            data=lambda first_epoch: tiny_training.batches(first_epoch, spoil=_power_cut_in(1)),
        )

    def die(*_):
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_history", die)
        with pytest.raises(_Killed):
            train(tmp_path)
    train(tmp_path)
    _assert_same(tmp_path, uninterrupted)


@pytest.mark.slow
def test_without_average_resumes_too(tmp_path):
    config = dataclasses.replace(CONFIG, ema=0.0, epochs=3)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(whole, config)

    def stream(first_epoch):
        return tiny_training.batches(first_epoch, spoil=_power_cut_in(2))

    with pytest.raises(Exception, match="power cut"):
        train(stopped, config, data=stream)
    train(stopped, config)
    for have, want in zip(_outcome(stopped)[0], _outcome(whole)[0], strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.slow
def test_killed_process_resumes(uninterrupted, tmp_path):
    run = RunFolder(tmp_path / "run")
    command = [sys.executable, Path(tiny_training.__file__), run.folder]
    path = os.pathsep.join(sys.path)
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL
    )
    while not run.last.exists():
        assert process.poll() is None
        time.sleep(0.002)
    # An epoch takes some tens of milliseconds, half of them for saving.
    time.sleep(random.uniform(0, 0.2))
    process.send_signal(signal.SIGKILL)
    process.wait()
    train(run.folder)
    _assert_same(run.folder, uninterrupted)


def test_finished_run_is_left_alone(uninterrupted):
    before = {path: path.read_bytes() for path in uninterrupted.glob("*.*")}
    model, history = train(uninterrupted)
    assert len(history) == CONFIG.epochs
    assert {path: path.read_bytes() for path in uninterrupted.glob("*.*")} == before


def test_best_and_last_hold_the_average(uninterrupted):
    run = RunFolder(uninterrupted)
    arrays, history = checkpoint.read_checkpoint(run.last)
    raw_kernel = arrays[0]
    saved_kernel = keras.saving.load_model(run.last, compile=False).get_weights()[0]
    assert raw_kernel.shape == saved_kernel.shape
    assert not np.array_equal(raw_kernel, saved_kernel)
    model = keras.saving.load_model(run.best, compile=False)
    model.compile(
        loss=SmoothedCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=False,
    )
    result = model.evaluate(tiny_training.batches(100, 101), return_dict=True, verbose=0)
    assert result["accuracy"] == pytest.approx(max(row["val_accuracy"] for row in history))


def _nan_in(epoch_of_nan):
    return lambda epoch, images: images * np.nan if epoch == epoch_of_nan else images


def test_nan_loss_stops_and_keeps_the_last_good_state(tmp_path):
    def stream(first_epoch):
        return tiny_training.batches(first_epoch, spoil=_nan_in(2))

    for _ in range(2):  # The same again when it is resumed.
        with pytest.raises(UserError, match=r"epoch 3.*the loss became nan.*`learning_rate`"):
            train(tmp_path, data=stream)
        arrays, history = checkpoint.read_checkpoint(RunFolder(tmp_path).last)
        assert len(history) == 2
        assert checkpoint.all_finite(arrays)
    assert np.isfinite(keras.saving.load_model(RunFolder(tmp_path).best).get_weights()[0]).all()


def test_nan_in_the_first_epoch_leaves_no_checkpoint(tmp_path):
    def stream(first_epoch):
        return tiny_training.batches(first_epoch, spoil=_nan_in(0))

    with pytest.raises(UserError, match="epoch 1, .*no epoch was finished"):
        train(tmp_path, data=stream)
    assert not RunFolder(tmp_path).last.exists()
    assert not RunFolder(tmp_path).best.exists()


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    class Unused(keras.layers.Layer):
        """Has a weight that reaches no loss."""

        def build(self, shape):
            infinite = keras.initializers.Constant(np.inf)
            self.add_weight(shape=(3,), initializer=infinite, trainable=False)

        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((6, 6, 1)), *tiny_model().layers, Unused()])
    with pytest.raises(UserError, match="epoch 1: a weight is not a finite number"):
        train(tmp_path, model=model)
    assert not RunFolder(tmp_path).last.exists()


def test_a_model_that_is_not_built_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be built. Received: "):
        train(tmp_path, model=keras.Sequential([keras.layers.Dense(3)], name="open"))


def test_data_that_end_early_are_refused(tmp_path):
    with pytest.raises(ValueError, match="6 batches per epoch. Received: 5 in epoch 1"):
        train(tmp_path, data=lambda first_epoch: tiny_training.batches(0).take(5))
    assert not RunFolder(tmp_path).last.exists()


@pytest.mark.slow
def test_mixed_float16_resumes_with_its_loss_scale(tmp_path):
    config = dataclasses.replace(CONFIG, epochs=3)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, _ = train(whole, config)
        with pytest.raises(Exception, match="power cut"):
            train(
                stopped,
                config,
                data=lambda first: tiny_training.batches(first, spoil=_power_cut_in(1)),
            )
        train(stopped, config)
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert len(checkpoint.training_variables(model)) > len(model.variables) + 6
    for have, want in zip(_outcome(stopped)[0], _outcome(whole)[0], strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.slow
def test_full_disk_keeps_the_checkpoint(uninterrupted, tmp_path):
    def stream(first_epoch):
        return tiny_training.batches(first_epoch, spoil=_power_cut_in(2))

    with pytest.raises(Exception, match="power cut"):
        train(tmp_path, data=stream)
    run = RunFolder(tmp_path)
    before = run.last.read_bytes()

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(UserError, match=r"cannot write .*\.keras: File too large"):
            train(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.last.read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".micronet-")]
    train(tmp_path)
    _assert_same(tmp_path, uninterrupted)


@pytest.mark.parametrize("damage", [b"", b"not a zip", "half", "no state"])
def test_damaged_checkpoint_is_refused(uninterrupted, tmp_path, damage):
    run = RunFolder(tmp_path)
    good = RunFolder(uninterrupted)
    run.open(dataclasses.asdict(CONFIG))
    run.claim()
    if damage == "half":
        damage = good.last.read_bytes()[: good.last.stat().st_size // 2]
    elif damage == "no state":
        damage = good.best.read_bytes()
    run.last.write_bytes(damage)
    with pytest.raises(UserError, match="last.keras is not a checkpoint .*force=True"):
        train(tmp_path)
    assert run.last.read_bytes() == damage


def test_checkpoint_of_another_model_is_refused(uninterrupted, tmp_path):
    run = RunFolder(tmp_path)
    run.open(dataclasses.asdict(CONFIG))
    run.claim()
    run.last.write_bytes(RunFolder(uninterrupted).last.read_bytes())
    other = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    with pytest.raises(UserError, match="is of another model"):
        train(tmp_path, model=other)


def test_tensorboard_has_every_epoch_once(uninterrupted):
    import tensorflow as tf

    for part, names in (
        ("train", {"loss", "accuracy", "learning_rate", "seconds"}),
        ("validation", {"loss", "accuracy"}),
    ):
        files = list((uninterrupted / "tensorboard" / part).iterdir())
        assert len(files) == 1
        points = [
            (value.tag, event.step)
            for event in tf.compat.v1.train.summary_iterator(str(files[0]))
            for value in event.summary.value
        ]
        expected = [
            (f"epoch/{name}", epoch + 1) for epoch in range(CONFIG.epochs) for name in names
        ]
        assert sorted(points) == sorted(expected)
