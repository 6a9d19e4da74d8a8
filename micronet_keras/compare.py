"""The forms of one model side by side: float in Keras, int8 on TFLM, int8 compiled to C."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import keras

from micronet_keras.data import Source, as_source
from micronet_keras.lower import normalization_of
from micronet_keras.models import MicroNetObjectDetector, MicroNetPoseEstimator
from micronet_keras.tasks import CLASSIFICATION, TASKS, ClassificationConfig, replace
from micronet_keras.tasks.task import Measured, Runner, Task, interface
from micronet_keras.train.run import Run, read_run
from micronet_mcu.errors import UserError
from micronet_mcu.shown import Shown
from micronet_mcu.tflite import flatbuffer_bytes
from micronet_mcu.to_c.host_runner import HostRunner
from micronet_mcu.to_tflm.interpreter import Interpreter


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """What `compare` returns.

    Attributes:
        summary: `images`, the figures of each form with its name in front (`float_accuracy`,
            `int8_accuracy`, ...), how far the int8 form agrees with the float one, `arena_bytes`,
            `flash_bytes`.
        measured: by form: "float", "int8" and, when asked for, "c".
    """

    summary: dict
    measured: dict[str, Measured]

    def facts(self) -> list[tuple[str, str]]:
        return [(name.replace("_", " "), _figure(value)) for name, value in self.summary.items()]


def compare(
    run: str | os.PathLike | Run | keras.Model,
    flatbuffer: Any,
    split: str | None = None,
    *,
    limit: int | None = None,
    compiled: bool = False,
    source: Any = None,
    tasks: Mapping[str, Task] = TASKS,
) -> Comparison:
    """Runs a run's model and its int8 form over the same examples.

    Args:
        run: the folder that `train` wrote, or what `read_run` returned; or a classifier of Keras,
            with `source`.
        flatbuffer: a `.tflite` file of builtin operators or its bytes, see
            `micronet_mcu.tflite.flatbuffer_bytes`; run on the real TFLM interpreter, image by
            image.
        split: the split to look at; the run's test split when None.
        limit: only the first so many examples; None is all.
        compiled: run the flatbuffer compiled to C as well.
        source: instead of the run's dataset: another, see `Run.source`; or images of one's own,
            (images, labels) or a tf.data set, as `micronet_keras.data.as_source` takes them.
        tasks: the tasks that are known, by name.

    Raises:
        UserError: run, flatbuffer and dataset do not fit each other, or the flatbuffer cannot be
            run.

    Example:

    >>> result = compare("out/m0", "out/m0/int8/model.tflite")
    >>> 0 <= result.summary["int8_accuracy"] <= 1
    True
    >>> compare(model, flatbuffer, source=(images, labels)).summary["images"]
    8
    """
    more: dict[str, Any] = {"limit": limit, "compiled": compiled}
    if isinstance(run, keras.Model):
        if source is None:
            raise UserError(
                "a model without its run needs images with labels: "
                "compare(model, flatbuffer, source=(images, labels))"
            )
        task, source, config = _model_on_images(run, source, split)
        return compare_forms(task, run, flatbuffer, source, config, **more)
    run = read_run(run, tasks)
    if source is not None and not isinstance(source, Source):
        name = split or run.config.training.test_split
        source = as_source({name: source}, class_names=run.class_names)
        config = replace(run.config, test_split=name)
        return compare_forms(run.task, run.model(), flatbuffer, source, config, **more)
    return compare_forms(
        run.task, run.model(), flatbuffer, run.source(source), run.config, split, **more
    )


def compare_forms(
    task: Task,
    model: keras.Model,
    flatbuffer: Any,
    source: Source,
    config: Any,
    split: str | None = None,
    *,
    limit: int | None = None,
    compiled: bool = False,
) -> Comparison:
    """`compare` for a model in hand; arguments as there and as of `train`."""
    raw = flatbuffer_bytes(flatbuffer)
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


def _figure(value: Any) -> str:
    if value is None:
        return "not defined on these images"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _model_on_images(
    model: keras.Model, images: Any, split: str | None
) -> tuple[Task, Source, ClassificationConfig]:
    """What a run would say, of a classifier and images with labels."""
    if isinstance(model, MicroNetObjectDetector | MicroNetPoseEstimator):
        raise UserError(
            f"{model.name} is no classifier: compare_forms(task, model, flatbuffer, source, "
            "config) compares one of any task"
        )
    height, width, _ = model.input_shape[1:]
    (classes,) = model.output_shape[1:]
    source = as_source(images if isinstance(images, Source) else {"test": images})
    names = [*source.class_names, *map(str, range(len(source.class_names), classes))]
    config = replace(
        CLASSIFICATION.recipes["quick"],
        image_size=height,
        image_width=width,
        test_split=split or ("test" if "test" in source.splits else list(source.splits)[-1]),
        preprocessing="imagenet" if normalization_of(model) == "imagenet" else "none",
    )
    return CLASSIFICATION, dataclasses.replace(source, class_names=names), config


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
