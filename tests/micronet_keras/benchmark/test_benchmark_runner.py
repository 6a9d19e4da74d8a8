"""A small suite on a folder of pictures: killed, resumed, measured."""

import json
import shutil

import pytest
import tiny_benchmark
from tiny_benchmark import EPOCHS, runner

from micronet_keras.benchmark import OutOfTime
from micronet_keras.benchmark import runner as module
from micronet_keras.benchmark.record import write_record


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return tiny_benchmark.write_suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture(scope="module")
def finished(suite, tmp_path_factory):
    """A run that nothing disturbed."""
    whole = runner(suite, tmp_path_factory.mktemp("finished"))
    (run,) = whole.suite.runs
    whole.train(run)
    return whole, run


def figures(record):
    """What does not depend on the clock."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in record["history"]]
    return rows, record["result"], record["recipe"], record["search"]["chosen"]


@pytest.mark.slow
def test_a_record_says_how_it_came_about(finished):
    whole, run = finished
    record = json.loads(whole.path(run).read_text())
    assert record["state"] == "finished"
    assert (record["model"], record["variant"], record["seed"]) == run
    assert len(record["history"]) == EPOCHS
    assert record["seconds"] == pytest.approx(sum(r["seconds"] for r in record["history"]), abs=0.1)
    trials = {t["learning_rate"]: t["val_accuracy"] for t in record["search"]["trials"]}
    assert set(trials) == {0.05, 0.02}
    assert record["recipe"]["learning_rate"] == max(trials, key=trials.get)
    assert record["recipe"]["seed"] == 3
    best = max(record["history"], key=lambda row: row["val_accuracy"])
    assert record["result"]["best_epoch"] == best["epoch"]
    (environment,) = record["environments"]
    assert environment["from_epoch"] == 1
    assert environment["cores"] >= 1
    assert environment["packages"]["keras"]


@pytest.mark.slow
def test_minutes_end_a_run_after_an_epoch(suite, finished, tmp_path):
    whole, run = finished
    path = runner(suite, tmp_path).path(run)
    trials = len(whole.suite.search.learning_rates)
    for _ in range(trials + 1):  # Each of the trials is an epoch, too.
        with pytest.raises(OutOfTime):
            runner(suite, tmp_path, minutes=0).train(run)
    assert _epochs(path) == 1
    record = runner(suite, tmp_path).train(run)
    assert figures(record) == figures(whole.train(run))


class _Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.slow
def test_a_benchmark_killed_between_checkpoint_and_record_goes_on(
    suite, finished, tmp_path, monkeypatch
):
    whole, run = finished
    stopped = runner(suite, tmp_path)
    shutil.copytree(whole.results / "search", stopped.results / "search")

    def die(path, record):
        if len(record.get("history", ())) == 2:
            raise _Killed
        write_record(path, record)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_record", die)
        with pytest.raises(_Killed):
            stopped.train(run)
    assert _epochs(stopped.path(run)) == 1
    assert json.loads(stopped.path(run).read_text())["state"] == "training"
    assert figures(runner(suite, tmp_path).train(run)) == figures(whole.train(run))


def _epochs(path):
    return path.exists() and len(json.loads(path.read_text())["history"])


@pytest.mark.slow
def test_int8_is_measured_once_and_only_of_finished_runs(suite, finished, tmp_path):
    whole, run = finished
    assert runner(suite, tmp_path).measure(run) is None
    record = whole.measure(run)
    int8 = record["figures"]["int8"]
    assert int8["images"] == whole.source.splits["test"]
    assert int8["float_accuracy"] == pytest.approx(record["result"]["test_accuracy"])
    board = record["figures"]["cortex_m4"]
    assert "missing" in board or board["instructions"] > 1000
    before = whole.path(run).read_bytes()
    assert whole.measure(run) == record
    assert whole.path(run).read_bytes() == before


@pytest.mark.slow
def test_what_was_missing_is_measured_again_by_other_code(finished, monkeypatch):
    whole, run = finished
    record = whole.measure(run)
    monkeypatch.setattr(module, "measure", lambda *_: {"cortex_m4": {"instructions": 5}})
    record["figures"]["cortex_m4"] = {"missing": "a kernel"}
    whole.path(run).write_text(json.dumps(record))
    assert whole.measure(run)["figures"]["cortex_m4"] == {"missing": "a kernel"}
    record["figures"]["measured_with"]["commit"] = "another"
    whole.path(run).write_text(json.dumps(record))
    assert whole.measure(run)["figures"]["cortex_m4"] == {"instructions": 5}
