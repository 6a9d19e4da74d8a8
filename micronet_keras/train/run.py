"""A finished or unfinished training run, read back from its folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import keras

from micronet_keras.data import Source, load_dataset
from micronet_keras.models import read_keras
from micronet_keras.tasks import TASKS
from micronet_keras.tasks.task import Task
from micronet_keras.train.run_folder import RunFolder
from micronet_keras.train.train import with_validation
from micronet_mcu.errors import UserError
from micronet_mcu.shown import Shown, size_text, some_of
from micronet_settings.training import from_json


@dataclasses.dataclass(frozen=True, repr=False)
class Run(Shown):
    """What a training run was: nothing about it has to be said, or guessed, again.

    Attributes:
        folder: its files.
        task: what was learnt.
        config: the task's settings.
        dataset, data_dir: as `load_dataset` took them.
        class_names: what the model's outputs mean.
    """

    folder: RunFolder
    task: Task
    config: Any
    dataset: str
    data_dir: str | None
    class_names: list[str]

    def facts(self) -> list[tuple[str, str]]:
        training = self.config.training
        return [
            ("folder", str(self.folder.folder)),
            ("task", self.task.name),
            ("dataset", self.dataset),
            ("classes", some_of(self.class_names)),
            ("images", size_text((*training.size, 3))),
            ("epochs", str(training.epochs)),
        ]

    def model(self) -> keras.Model:
        """The model of the best epoch.

        Raises:
            UserError: the file is missing or damaged.
        """
        return read_keras(self.folder.best)

    def load(self, dataset: str | None = None, data_dir: str | None = None) -> Source:
        """The run's dataset, or the one of another name or from another place.

        Raises:
            UserError: as `load_dataset`.
        """
        return load_dataset(
            dataset or self.dataset, data_dir or self.data_dir, self.task.annotations
        )

    def source(self, given: Source | None = None) -> Source:
        """The dataset of the run, with the splits that it was trained with.

        Args:
            given: another one with the same classes, or the same from another place.

        Raises:
            UserError: it is not there, or has other classes.
        """
        source = given or self.load()
        names = list(self.task.class_names(source))
        if names != self.class_names:
            raise UserError(
                f"dataset {source.name} has the classes {_shown(names)}, the run in "
                f"{self.folder.folder} was trained for {_shown(self.class_names)}"
            )
        return with_validation(source, self.config.training)


def read_run(folder: str | os.PathLike | Run, tasks: Mapping[str, Task] = TASKS) -> Run:
    """Reads a run's config.json.

    Args:
        folder: what `train` wrote to. What is a `Run` already is returned as it is.
        tasks: the tasks that are known, by name.

    Raises:
        UserError: there is no run, or its config.json is damaged.

    Example:

    >>> read_run("out/m0").task.name
    'classification'
    """
    if isinstance(folder, Run):
        return folder
    if not isinstance(folder, str | os.PathLike):
        raise UserError(
            "a run is the folder that train wrote, or what read_run returned. "
            f"Received: {type(folder).__name__}"
        )
    files = RunFolder(folder)
    stored = files.read_settings()
    task = tasks.get(str(stored.get("task")))
    if task is None:
        raise UserError(
            f"{files.config} is of a task {stored.get('task')!r}; known are: {', '.join(tasks)}"
        )
    config: Any = from_json(task.config, stored.get("config"), str(files.config))
    names = stored.get("class_names")
    dataset, data_dir = stored.get("dataset"), stored.get("data_dir")
    if not isinstance(names, list) or not isinstance(dataset, str):
        raise UserError(f"{files.config} does not name its dataset and classes; it is damaged")
    return Run(files, task, config, dataset, data_dir, names)


def _shown(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if names[5:] else "")
