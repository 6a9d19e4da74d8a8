"""The folder of a run: who may use it, and what is in its log."""

import csv
import json

import pytest

from micronet_keras.train.run_folder import RunFolder, TensorBoardLog
from micronet_mcu.errors import UserError
from micronet_mcu.folders import MARKER, mark

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
    with pytest.raises(UserError, match=named + ".*force=True"):
        RunFolder(started.folder).open(SETTINGS | change)
    assert started.last.read_bytes() == b"a checkpoint"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_force_starts_anew_and_spares_other_files(started):
    foreign = ("notes.txt", "tensorboard/train/notes.txt", "tensorboard/mine/events.out.tfevents.1")
    own = ("best.keras", "summary.json", "tensorboard/validation/events.out.tfevents.1")
    for name in (*foreign, *own):
        (started.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (started.folder / name).write_text("mine")
    assert not started.open(SETTINGS | {"epochs": 4}, force=True)
    assert started.last.exists()
    started.claim()
    assert contents(started.folder).keys() == {".micronet.json", "config.json", *foreign}
    assert json.loads(started.config.read_text())["epochs"] == 4


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("best.keras", "mine"),
        ("history.csv", "mine"),
        ("summary.json", "{}"),
        ("config.json", '{"model": "m0"}'),
        ("config.json", "[1]"),
        ("config.json", "{"),
        ("tensorboard/train/events.out.tfevents.1", "mine"),
    ],
)
def test_files_of_unknown_origin_are_never_touched(tmp_path, name, content, force):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"{name.split('/')[0]} .*name another output"):
        RunFolder(tmp_path).open(SETTINGS, force)
    assert contents(tmp_path) == {name: content.encode()}


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_another_command_is_refused(tmp_path, force):
    mark(tmp_path, "convert", [])
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    with pytest.raises(UserError, match="nothing says that a training run wrote it"):
        RunFolder(tmp_path).open(SETTINGS, force)


def test_runs_from_before_there_were_markers_go_on(started):
    (started.folder / MARKER).unlink()
    assert RunFolder(started.folder).open(SETTINGS)
    assert not RunFolder(started.folder).open(SETTINGS | {"epochs": 9}, force=True)
    with pytest.raises(UserError, match="epochs=3"):
        RunFolder(started.folder).open(SETTINGS | {"epochs": 9})


@pytest.mark.parametrize("content", ["{", "[1]", "null", "[" * 100_000])
def test_unreadable_settings_and_summaries_are_refused(started, content):
    started.config.write_text(content)
    started.summary.write_text(content)
    with pytest.raises(UserError, match=r"config.json is not the settings .*`force=True` starts"):
        started.open(SETTINGS)
    with pytest.raises(UserError, match=r"summary.json is not the summary .*remove it"):
        started.read_summary()
    assert not started.open(SETTINGS, force=True)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*run"):
        RunFolder(tmp_path / "file" / "run").open(SETTINGS)


def test_history_is_exact(started):
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17}]
    started.write_history(rows)
    with open(started.history, newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in read] == [row["loss"] for row in rows]


@pytest.mark.parametrize("name", ["\udcff", "%s{0}", "two\nlines"])
def test_any_name_of_a_folder_gets_a_log(name, tmp_path):
    log = TensorBoardLog(tmp_path / name, [{"epoch": 1, "loss": 0.5, "val_loss": 0.25}])
    log.close()
    for part in ("train", "validation"):
        (file,) = (tmp_path / name / part).iterdir()
        assert b"epoch/loss" in file.read_bytes()
