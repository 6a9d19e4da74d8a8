"""A training that is said by names: what the command line and a pipeline's file hold."""

import os
from collections.abc import Mapping
from typing import Any

import keras

from micronet_keras import data
from micronet_keras.tasks import TASKS
from micronet_keras.tasks.task import Task
from micronet_keras.train.loop import make_repeatable
from micronet_keras.train.train import TrainResult, train


def train_network(
    task: str,
    network: str,
    config: Any,
    out_dir: str | os.PathLike,
    *,
    dataset: str | None = None,
    data_dir: str | None = None,
    weights: str | None = None,
    skip_head: bool = False,
    force: bool = False,
    tasks: Mapping[str, Task] = TASKS,
) -> TrainResult:
    """Loads a dataset, builds a network for it and trains it; see `train`.

    Seeds and precision are set as `config` says; the precision holds for this call only.

    Args:
        task: name in `tasks`.
        network, weights, skip_head: as of `Task.build`.
        config: of the task.
        out_dir, force: as of `train`.
        dataset, data_dir: as `micronet_keras.data.load_dataset` takes them; the task's own dataset
            when None.
        tasks: the tasks that are known, by name.

    Raises:
        UserError: as `load_dataset`, `Task.build` and `train`.
    """
    found = tasks[task]
    source = data.load_dataset(dataset or found.dataset, data_dir, found.annotations)
    policy = keras.config.dtype_policy()
    make_repeatable(config.training)
    keras.config.set_dtype_policy(config.training.precision)
    try:
        model = found.build(network, source, config, weights, skip_head)
        settings = {"model": network, "weights": weights}
        result = train(found, model, source, config, out_dir, settings=settings, force=force)
    finally:
        keras.config.set_dtype_policy(policy)
    if source.bad_images:
        print(source.bad_images.summary())
    return result
