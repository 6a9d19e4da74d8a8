"""What a task is: all that differs between a classifier, a detector and a pose estimator."""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from micronet_keras.data import Source
from micronet_keras.distribution import spread_outputs
from micronet_keras.models import preprocess_input
from micronet_mcu.errors import UserError
from micronet_mcu.runner import Int8Runner
from micronet_mcu.tflite.model import Model

# A trained model in any of its forms: in Keras, on TensorFlow Lite Micro, compiled.
Runner: TypeAlias = keras.Model | Int8Runner
# uint8 [batch, height, width, 3] -> one prediction for each image, in the form of the task.
Predict = Callable[[np.ndarray], Sequence[Any]]


@dataclasses.dataclass(frozen=True)
class Examples:
    """The usable examples of a split, found and checked once.

    Attributes:
        source, split: where they are from.
        count: how many there are.
        problems: one line on those that are left out; empty when none is.
        counted: one line on how many there are of each class; empty where it is not known yet.
    """

    source: Source
    split: str
    count: int
    problems: str = ""
    counted: str = ""

    def __len__(self) -> int:
        return self.count

    def summary(self) -> str:
        """One line for the user."""
        text = f"{self.source.name}, {self.split}: {len(self)} examples"
        return f"{text}; {self.problems}" if self.problems else text


@dataclasses.dataclass(frozen=True)
class Measured:
    """How well a model did on examples.

    Attributes:
        figures: by name, e.g. "accuracy" or "AP"; None where it is not defined on these examples.
        count: examples that were looked at; those that did not decode are not among them.
        draw: writes a PNG of what the model said, `draw(path, title)`.
        outputs: the answers themselves where they are small, to be compared with another form's.
    """

    figures: dict[str, float | None]
    count: int
    draw: Callable[[str | os.PathLike, str], None] = dataclasses.field(repr=False)
    outputs: np.ndarray | None = dataclasses.field(default=None, repr=False)


class Task(abc.ABC):
    """One thing that images are used for; `train`, `quantize` and `compare` know no other.

    Attributes:
        name: in `TASKS`, on the command line and in a run's config.json.
        config: the dataclass of its settings, which holds a `TrainConfig` as `training`.
        recipes: presets by name; "quick" is for the bundled dataset.
        dataset: the one that is taken when none is named.
        monitor: the metric of training, higher is better, that chooses the best epoch.
        fine_tuning_metrics: names of metrics of quantization-aware training; with
            "accuracy" the best epoch is that of the highest, else that of the lowest loss.
        annotations: what a folder is read for, as `load_dataset` takes it; None for classes.
        padding: a target of this value everywhere is of no example; the metrics leave it out. With
            it a batch that must be divided is filled up.
    """

    name: ClassVar[str]
    config: ClassVar[type]
    recipes: ClassVar[dict[str, Any]]
    dataset: ClassVar[str]
    monitor: ClassVar[str]
    fine_tuning_metrics: ClassVar[tuple[str, ...]] = ()
    annotations: ClassVar[str | None] = None
    padding: ClassVar[float] = -1

    @abc.abstractmethod
    def class_names(self, source: Source) -> list[str]:
        """What the model's outputs mean.

        Raises:
            UserError: the dataset is not for this task.
        """

    @abc.abstractmethod
    def build(
        self,
        network: str,
        source: Source,
        config: Any,
        weights: str | None = None,
        skip_head: bool = False,
    ) -> keras.Model:
        """The model with its initial weights.

        Args:
            network: "m0" to "m3".
            source: the dataset, for its classes.
            config: of this task.
            weights: what to start from: a `.keras` or `.weights.h5` file, an authors' `.pth` file,
                "imagenet", or None for random weights.
            skip_head: keep random weights in a last layer that has other classes there.
        """

    @abc.abstractmethod
    def check(self, runner: Runner, source: Source, config: Any) -> None:
        """Raises UserError when a model, in any form, is not for these images and classes."""

    def examples(self, source: Source, split: str, config: Any) -> Examples:
        """Finds the usable examples of a split.

        Raises:
            UserError: there is no such split, or no usable example in it.
        """
        del config
        if split not in source.splits:
            raise UserError(
                f"dataset {source.name} has no split {split!r}; it has: {', '.join(source.splits)}"
            )
        return Examples(source, split, source.splits[split])

    def contents(self, examples: Examples) -> str:
        """One line on what there is to learn from, which is printed before the training."""
        return examples.counted

    @abc.abstractmethod
    def batches(
        self, examples: Examples, config: Any, *, training: bool, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """(pixels uint8 [b, height, width, 3], targets as `loss` takes them) batches.

        Those of training may have weights [b] of the examples as a third part, and hold the rows
        of `examples.source.part` alone.

        Args:
            examples: of `examples`.
            config: of this task.
            training: shuffled and augmented, from `first_epoch` (0-based) on to the last epoch,
                each a pure function of (seed, epoch); else whole, once, in order.
            first_epoch: see `training`.
        """

    @abc.abstractmethod
    def loss(self, model: keras.Model, config: Any) -> keras.losses.Loss:
        """Of the model's output against the targets."""

    @abc.abstractmethod
    def metrics(self, model: keras.Model) -> list[keras.metrics.Metric]:
        """The metrics of training; one is called `monitor`."""

    def predictor(self, runner: Runner, config: Any) -> Predict:
        """The model in any of its forms as a function from pixels to predictions.

        By default the (first) output in float, one row for each image.
        """
        return float_outputs(runner, config)

    @abc.abstractmethod
    def measure(
        self, predict: Predict, examples: Examples, config: Any, limit: int | None = None
    ) -> Measured:
        """Runs a model over examples.

        Args:
            predict: of `predictor`.
            examples: the split to look at.
            config: of this task.
            limit: only the first so many; None is all.

        Raises:
            UserError: not one image decodes.
        """

    def agreement(self, reference: Measured, other: Measured) -> dict[str, float]:
        """How far two forms of a model agree; nothing by default."""
        del reference, other
        return {}

    def c_files(self, model: Model, class_names: Sequence[str], name: str) -> dict[str, str]:
        """What firmware needs besides the flatbuffer, as texts by file name; nothing by default.

        Args:
            model: the flatbuffer.
            class_names: what its outputs mean.
            name: a C identifier that prefixes all names.
        """
        del model, class_names, name
        return {}


def model_input(pixels: Any, config: Any) -> Any:
    """Pixels 0 to 255 as the model takes them, see `TrainConfig.preprocessing`."""
    if config.training.preprocessing == "imagenet":
        return preprocess_input(pixels)
    return keras.ops.cast(pixels, "float32")


def float_outputs(runner: Runner, config: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A model's (first) output in float for uint8 [b, height, width, 3], whatever its form."""
    if isinstance(runner, Int8Runner):
        return runner.predict
    if keras.distribution.distribution():
        return spread_outputs(runner, lambda pixels: model_input(pixels, config))

    def predict(pixels):
        # Not `predict`, which would compile with XLA, several times slower on a CPU.
        return keras.ops.convert_to_numpy(runner(model_input(pixels, config), training=False))

    return predict


def interface(runner: Runner) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The shapes of a model's input and of its outputs, batch left out, whatever its form."""
    if isinstance(runner, Int8Runner):
        return tuple(runner.input.shape[1:]), [tuple(t.shape[1:]) for t in runner.outputs]
    # What is joined for training only is apart on a microcontroller.
    outputs = getattr(runner, "raw_outputs", runner.outputs)
    return tuple(runner.input_shape[1:]), [tuple(t.shape[1:]) for t in outputs]


def check_image_shape(runner: Runner, config: Any) -> None:
    """Raises UserError when a model takes images of another shape than the run's."""
    shape, wanted = interface(runner)[0], (*config.training.size, 3)
    if shape != wanted:
        raise UserError(f"the model must take images of shape {wanted}. Received: {shape}")


def progress(batches: Iterable, label: str, total: int) -> Iterable:
    """`batches` with a progress bar that shows itself after two seconds."""
    with tqdm(total=total, desc=label, unit="image", leave=False, delay=2, disable=None) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch[0]))
