"""Checkpoints that somebody or a disk has damaged: one line that names the file."""

import keras
import numpy as np
import pytest
import tiny_training

from micronet_keras.train import checkpoint
from micronet_keras.train.run_folder import RunFolder
from micronet_mcu.errors import UserError


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


def saved(path, model, history):
    checkpoint.save_checkpoint(path, model, checkpoint.capture(model.variables), history)
    return path


def test_what_is_saved_is_read(model, tmp_path):
    history = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 1}]
    arrays, found = checkpoint.read_checkpoint(saved(tmp_path / "last.keras", model, history))
    assert found == history
    checkpoint.restore(model.variables, arrays, tmp_path / "last.keras")


@pytest.mark.parametrize(
    "history",
    [
        None,
        3,
        {"epoch": 1},
        [1],
        [{"epoch": 2, "loss": 0.5}],
        [{"epoch": 1, "loss": "0.5"}],
        [{"epoch": 1, "loss": True}],
        [{"epoch": 1, "loss": 0.5}, {"epoch": 2}],
        [{"loss": 0.5}],
    ],
)
def test_a_wrong_history_is_refused(model, tmp_path, history):
    path = saved(tmp_path / "last.keras", model, history)
    with pytest.raises(UserError, match="last.keras is not a checkpoint .*`force=True` starts"):
        checkpoint.read_checkpoint(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "history",
    [
        [{"epoch": i + 1, "val_accuracy": 0.5} for i in range(tiny_training.CONFIG.epochs + 1)],
        [{"epoch": 1, "val_loss": 0.5}],
    ],
)
def test_the_history_of_another_run_is_refused(tmp_path, history, monkeypatch):
    tiny_training.train(tmp_path)
    run = RunFolder(tmp_path)
    arrays, _ = checkpoint.read_checkpoint(run.last)
    model = keras.saving.load_model(run.last, compile=False)
    checkpoint.save_checkpoint(run.last, model, arrays, history)
    with pytest.raises(UserError, match="last.keras has the history of another run"):
        tiny_training.train(tmp_path)


def test_damage_anywhere_is_one_line(model, tmp_path):
    path = saved(tmp_path / "last.keras", model, [{"epoch": 1, "loss": 0.5}])
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(content) // 2, len(content) + 1)])
        try:
            arrays, _ = checkpoint.read_checkpoint(path)
            checkpoint.restore(model.variables, arrays, path)
        except UserError as error:
            assert "last.keras" in str(error) and "\n" not in str(error)


def test_arrays_that_are_no_numbers_are_refused(model, tmp_path):
    wrong = [np.full(variable.shape, "a") for variable in model.variables]
    with pytest.raises(UserError, match="is of another model"):
        checkpoint.restore(model.variables, wrong, tmp_path)
