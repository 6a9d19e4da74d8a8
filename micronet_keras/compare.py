"""The forms of one model side by side: float in Keras, int8 on TFLM, int8 compiled to C."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import keras

from micronet_keras.data import Source
from micronet_keras.tasks import TASKS
from micronet_keras.tasks.task import Measured, Runner, Task, interface
from micronet_keras.train.run import Run, read_run
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes
from micronet_mcu.to_c.host_runner import HostRunner
from micronet_mcu.to_tflm.interpreter import Interpreter


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` returns.

    Attributes:
        summary: `images`, the figures of each form with its name in front (`float_accuracy`,
            `int8_accuracy`, ...), how far the int8 form agrees with the float one, `arena_bytes`,
            `flash_bytes`.
        measured: by form: "float", "int8" and, when asked for, "c".
    """

    summary: dict
    measured: dict[str, Measured] = dataclasses.field(repr=False)


def compare(
    run: str | os.PathLike | Run,
    flatbuffer: str | os.PathLike | bytes,
    split: str | None = None,
    *,
    limit: int | None = None,
    compiled: bool = False,
    source: Source | None = None,
    tasks: Mapping[str, Task] = TASKS,
) -> Comparison:
    """Runs a run's model and its int8 form over the same examples.

    Args:
        run: the folder that `train` wrote, or what `read_run` returned.
        flatbuffer: a `.tflite` file of builtin operators or its bytes; run on the real TFLM
            interpreter, image by image.
        split: the split to look at; the run's test split when None.
        limit: only the first so many examples; None is all.
        compiled: run the flatbuffer compiled to C as well.
        source: instead of the run's dataset, see `Run.source`.
        tasks: the tasks that are known, by name.

    Raises:
        UserError: run, flatbuffer and dataset do not fit each other, or the flatbuffer cannot be
            run.

    Example:

    >>> result = compare("out/m0", "out/m0/int8/model.tflite")
    >>> 0 <= result.summary["int8_accuracy"] <= 1
    True
    """
    if not isinstance(run, Run):
        run = read_run(run, tasks)
    return compare_forms(
        run.task,
        run.model(),
        flatbuffer,
        run.source(source),
        run.config,
        split,
        limit=limit,
        compiled=compiled,
    )


def compare_forms(
    task: Task,
    model: keras.Model,
    flatbuffer: str | os.PathLike | bytes,
    source: Source,
    config: Any,
    split: str | None = None,
    *,
    limit: int | None = None,
    compiled: bool = False,
) -> Comparison:
    """`compare` for a model in hand; arguments as there and as of `train`."""
    raw = flatbuffer if isinstance(flatbuffer, bytes) else read_bytes(flatbuffer)
    interpreter = Interpreter(raw)
    runners: dict[str, Runner] = {"float": model, "int8": interpreter}
    if compiled:
        runners["c"] = HostRunner(raw)
    _check(task, runners, source, config)
    examples = task.examples(source, split or config.training.test_split, config)
    measured = {
        name: task.measure(task.predictor(runner, config), examples, config, limit)
        for name, runner in runners.items()
    }
    summary: dict = {"images": measured["int8"].count}
    for name, result in measured.items():
        summary |= {f"{name}_{figure}": value for figure, value in result.figures.items()}
    summary |= task.agreement(measured["float"], measured["int8"])
    if compiled:
        both = task.agreement(measured["int8"], measured["c"])
        summary |= {f"c_{figure}": value for figure, value in both.items()}
    summary |= {"arena_bytes": interpreter.arena_bytes, "flash_bytes": len(raw)}
    return Comparison(summary, measured)


def _check(task: Task, runners: dict[str, Runner], source: Source, config: Any) -> None:
    for name, runner in runners.items():
        try:
            task.check(runner, source, config)
        except UserError as error:
            what = "the Keras model" if name == "float" else "the flatbuffer"
            raise UserError(f"{what} does not fit the run: {error}") from error
    wanted, have = (interface(runners[name]) for name in ("float", "int8"))
    if wanted != have:
        raise UserError(
            f"the flatbuffer is not of this model: its input and outputs are {have}, the Keras "
            f"model's {wanted}"
        )
