"""Trains the runs of a suite one after the other; stopped in whatever way, it goes on."""

import os
import time
from pathlib import Path

import keras

from micronet_keras import data
from micronet_keras.benchmark.figures import measure
from micronet_keras.benchmark.networks import build_network
from micronet_keras.benchmark.record import environment, read_record, write_record
from micronet_keras.benchmark.suite import Run, Search, Suite
from micronet_keras.models import count_madds, read_keras
from micronet_keras.tasks import CLASSIFICATION, ClassificationConfig, replace
from micronet_keras.train import make_repeatable, train, with_validation
from micronet_keras.train.run_folder import RunFolder
from micronet_mcu.errors import UserError
from micronet_settings.training import flat


class OutOfTime(Exception):  # noqa: N818 (nothing went wrong)
    """The minutes that were given are used up; all that was finished is on disk."""


class Runner:
    """Trains runs of a suite.

    Args:
        suite: from `read_suite`.
        source: its dataset.
        results: folder of the result files, one a run; searches have a folder `search` in it.
        checkpoints: folder with a run folder for each training.
        minutes: a training stops after the epoch that passes them; None is no limit.

    Example:

    >>> from micronet_keras.benchmark import read_suite
    >>> from micronet_keras.data import load_dataset
    >>> suite = read_suite("quick")
    >>> runner = Runner(suite, load_dataset(suite.dataset), "results", "checkpoints")
    >>> for run in suite.runs:
    ...     runner.train(run)
    """

    def __init__(
        self,
        suite: Suite,
        source: data.Source,
        results: str | os.PathLike,
        checkpoints: str | os.PathLike,
        minutes: float | None = None,
    ):
        self.suite = suite
        self.source = source
        self.results = Path(results)
        self.checkpoints = Path(checkpoints)
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    def path(self, run: Run) -> Path:
        """The result file of a run."""
        return self.results / f"{run.name}.json"

    def train(self, run: Run) -> dict:
        """Trains a run to its end and returns its record; a finished one is only read.

        Raises:
            OutOfTime: the minutes are over.
            UserError: as `train`.
        """
        record = read_record(self.path(run))
        if record and record["state"] == "finished":
            return record
        config = replace(self.suite.recipe, learning_rate=self._learning_rate(run), seed=run.seed)
        model = self._build(run, config)
        record = self._started(run, config, model, record)

        def save(history: list[dict]) -> None:
            record["history"] = history
            record["seconds"] = round(sum(row["seconds"] for row in history), 1)
            write_record(self.path(run), record)
            _show(run.name, history, config.training.epochs)
            self._check_time()

        write_record(self.path(run), record)
        result = self._train(model, self.source, config, run.name, run, save)
        record["history"] = result.history
        record["result"] = {
            name: result.summary[name]
            for name in ("best_epoch", "best_val_accuracy", "test_accuracy")
        }
        record["state"] = "finished"
        write_record(self.path(run), record)
        print(f"{run.name}: test accuracy {100 * record['result']['test_accuracy']:.2f} %")
        return record

    def measure(self, run: Run) -> dict | None:
        """Adds to the record of a trained run what the network costs in int8, once.

        What could not be had is tried again when the code is another one.

        Returns:
            The record; None where the run is not trained yet.

        Raises:
            UserError: the weights of its best epoch are missing.
        """
        record = read_record(self.path(run))
        if record is None or record["state"] != "finished":
            return None
        if _to_measure(record["figures"]):
            recipe = replace(ClassificationConfig(), **record["recipe"])
            model = read_keras(RunFolder(self.checkpoints / run.name).best)
            found = measure(model, with_validation(self.source, recipe.training), recipe)
            record["figures"].update(found, measured_with=environment())
            write_record(self.path(run), record)
            print(f"{run.name}: {found}", flush=True)
        return record

    def _train(self, model, source, config, folder, run, after_epoch):
        return train(
            CLASSIFICATION,
            model,
            source,
            config,
            self.checkpoints / folder,
            settings={"model": run.model, "variant": run.variant},
            after_epoch=after_epoch,
        )

    def _build(self, run: Run, config: ClassificationConfig) -> keras.Model:
        keras.utils.clear_session()
        make_repeatable(config.training)
        classes = len(self.source.class_names)
        return build_network(run.model, run.variant, config.training.size, classes, config.dropout)

    def _started(self, run: Run, config: ClassificationConfig, model: keras.Model, record) -> dict:
        """The record to go on with. Resumed elsewhere, it names all places and versions."""
        record = record or {
            "suite": self.suite.name,
            "model": run.model,
            "variant": run.variant,
            "seed": run.seed,
            "state": "training",
            "dataset": self.source.name,
            "recipe": flat(config),
            "search": read_record(self._search_path(run)),
            "environments": [],
            "figures": {"parameters": _trainable(model), "madds": count_madds(model).total},
            "history": [],
            "seconds": 0.0,
            "result": None,
        }
        here = environment()
        seen = record["environments"]
        if not seen or {**seen[-1], "from_epoch": None} != {**here, "from_epoch": None}:
            seen.append({**here, "from_epoch": len(record["history"]) + 1})
        return record

    def _search_path(self, run: Run) -> Path:
        return self.results / "search" / f"{run.model}_{run.variant}.json"

    def _learning_rate(self, run: Run) -> float:
        """The best of the search, which all seeds share."""
        search = self.suite.search
        if search is None:
            return self.suite.recipe.training.learning_rate
        path = self._search_path(run)
        record = read_record(path) or {"chosen": None, **search._asdict(), "trials": []}
        done = [trial["learning_rate"] for trial in record["trials"]]
        for rate in search.learning_rates:
            if rate not in done:
                record["trials"].append(self._trial(run, search, rate))
                write_record(path, record)
        record["chosen"] = max(record["trials"], key=_accuracy)["learning_rate"]
        write_record(path, record)
        return record["chosen"]

    def _trial(self, run: Run, search: Search, rate: float) -> dict:
        config = replace(
            self.suite.recipe, learning_rate=rate, epochs=search.epochs, test_split="", seed=0
        )
        source = with_validation(self.source, config.training)
        source = data.hold_out_validation(
            source, config.training.train_split, "left_out", search.part
        )
        name = f"search/{run.model}_{run.variant}_{rate}"

        def show(history):
            _show(name, history, config.training.epochs)
            self._check_time()

        model = self._build(run, config)
        try:
            result = self._train(model, source, config, name, run, show)
        except UserError as error:  # E.g. a rate at which it diverges.
            return {"learning_rate": rate, "val_accuracy": None, "error": str(error)}
        return {
            "learning_rate": rate,
            "val_accuracy": result.summary["best_val_accuracy"],
            "seconds": result.summary["seconds"],
        }

    def _check_time(self) -> None:
        if self._end is not None and time.monotonic() > self._end:
            raise OutOfTime


def _to_measure(figures: dict) -> bool:
    """Whether figures are not there yet, or lacked something with another commit."""
    parts = [figures.get(part) for part in ("int8", "cortex_m4")]
    if None in parts:
        return True
    missing = any("missing" in part for part in parts if part)
    return missing and figures["measured_with"]["commit"] != environment()["commit"]


def _accuracy(trial: dict) -> float:
    return -1.0 if trial["val_accuracy"] is None else trial["val_accuracy"]


def _trainable(model: keras.Model) -> int:
    return sum(int(keras.ops.size(weight)) for weight in model.trainable_weights)


def _show(name: str, history: list[dict], epochs: int) -> None:
    """One line of progress after an epoch."""
    last = history[-3:]
    seconds = sum(row["seconds"] for row in last) / len(last)
    left = seconds * (epochs - len(history)) / 60
    print(
        f"{name}: epoch {len(history)} of {epochs}, "
        f"accuracy {100 * history[-1]['val_accuracy']:.2f} %, "
        f"{seconds:.0f} s an epoch, {left:.0f} minutes left",
        flush=True,
    )
