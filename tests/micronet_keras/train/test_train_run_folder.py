"""The folder of a run: who may use it, and what is in its log."""

import csv
import json

import pytest

from micronet_keras.train.run_folder import RunFolder
from micronet_mcu.errors import UserError

SETTINGS = {"model": "m0", "epochs": 3, "learning_rate": 0.1, "class_names": ["a", "b"]}


@pytest.fixture
def started(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert not run.open(SETTINGS)
    assert not run.folder.exists()
    run.claim()
    run.last.write_bytes(b"a checkpoint")
    return run


def test_same_settings_resume(started):
    assert RunFolder(started.folder).open(dict(SETTINGS))
    assert json.loads(started.config.read_text()) == SETTINGS


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 4}, r"epochs=3 \(now 4\)"),
        ({"learning_rate": 0.2, "model": "m1"}, r'model="m0" \(now "m1"\), learning_rate=0.1'),
        ({"extra": True}, r"extra=null \(now true\)"),
    ],
)
def test_other_settings_are_refused_and_named(started, change, named):
    with pytest.raises(UserError, match=named + ".*--force"):
        RunFolder(started.folder).open(SETTINGS | change)
    assert started.last.read_bytes() == b"a checkpoint"


def test_force_starts_anew_and_spares_other_files(started):
    other = started.folder / "notes.txt"
    other.write_text("mine")
    started.tensorboard.mkdir()
    assert not started.open(SETTINGS | {"epochs": 4}, force=True)
    assert started.last.exists()
    started.claim()
    assert {path.name for path in started.folder.iterdir()} == {"config.json", "notes.txt"}
    assert json.loads(started.config.read_text())["epochs"] == 4


def test_results_of_unknown_origin_are_refused(tmp_path):
    (tmp_path / "best.keras").write_bytes(b"somebody's")
    with pytest.raises(UserError, match=r"best.keras exists, but no config.json"):
        RunFolder(tmp_path).open(SETTINGS)


def test_unreadable_settings_are_refused(started):
    started.config.write_text("{")
    with pytest.raises(UserError, match=r"cannot read .*config.json: .*--force"):
        started.open(SETTINGS)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    run = RunFolder(tmp_path / "file" / "run")
    run.open(SETTINGS)
    with pytest.raises(UserError, match="cannot write .*config.json"):
        run.claim()


def test_leftovers_of_a_killed_save_go(started):
    leftover = started.folder / ".0123456789ab.last.keras"
    leftover.write_bytes(b"half")
    started.open(SETTINGS)
    started.claim()
    assert not leftover.exists()


def test_history_is_exact(started):
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17}]
    started.write_history(rows)
    with open(started.history, newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in read] == [row["loss"] for row in rows]
