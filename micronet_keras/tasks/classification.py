"""Image classification: one label an image."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from micronet_keras import data
from micronet_keras.data.counts import counts_line
from micronet_keras.losses import SmoothedCrossentropy
from micronet_keras.metrics import LabelAccuracy
from micronet_keras.tasks.confusion import plot_confusion
from micronet_keras.tasks.figures import accuracy, agreement, confusion_matrix, signal_to_noise
from micronet_keras.tasks.networks import build_classifier
from micronet_keras.tasks.task import (
    Examples,
    Measured,
    Predict,
    Runner,
    Task,
    check_image_shape,
    interface,
    progress,
)
from micronet_mcu.errors import UserError
from micronet_settings.classification import RECIPES, ClassificationConfig

# More are not read through for a line of text.
_MOST_COUNTED = 200_000
# Said where the largest class has so many times as many images as the smallest.
_UNBALANCED = 3


class Classification(Task):
    """One label an image; see `Task`."""

    name = "classification"
    config = ClassificationConfig
    recipes = RECIPES
    dataset = data.DEFAULT_DATASET
    monitor = "accuracy"
    fine_tuning_metrics = ("accuracy",)

    def class_names(self, source: data.Source) -> list[str]:
        if not source.has_labels:
            raise UserError(
                f"dataset {source.name!r} is not for classification: its images have no label"
            )
        return source.class_names

    def build(
        self,
        network: str,
        source: data.Source,
        config: ClassificationConfig,
        weights: str | None = None,
        skip_head: bool = False,
    ) -> keras.Model:
        shape = (*config.training.size, 3)
        classes = len(self.class_names(source))
        return build_classifier(network, shape, classes, config.dropout, weights, skip_head)

    def check(self, runner: Runner, source: data.Source, config: ClassificationConfig) -> None:
        check_image_shape(runner, config)
        shapes, classes = interface(runner)[1], len(self.class_names(source))
        if shapes != [(classes,)]:
            raise UserError(
                f"the model must have one output for the {classes} classes of {source.name}. "
                f"Received: outputs of shapes {shapes}"
            )
        last = runner.layers[-1] if isinstance(runner, keras.Model) else None
        softmax = getattr(last, "activation", None) is keras.activations.softmax
        if softmax or isinstance(last, keras.layers.Softmax):
            raise UserError(
                "the model must give logits, not probabilities. Received: a last layer with softmax"
            )

    def contents(self, examples: Examples) -> str:
        if not examples.source.read_labels and len(examples) > _MOST_COUNTED:
            return ""
        counts = data.class_counts(examples.source, examples.split)
        text = counts_line(counts, "images")
        numbers = [count for count in counts.values() if count]
        if numbers and max(numbers) >= _UNBALANCED * min(numbers):
            text += "; with class_weights=balanced all classes weigh the same"
        return text

    def batches(
        self,
        examples: Examples,
        config: ClassificationConfig,
        *,
        training: bool,
        first_epoch: int = 0,
    ) -> tf.data.Dataset:
        settings = config.training
        if not training:
            return data.eval_batches(
                examples.source,
                examples.split,
                settings.size,
                settings.batch_size,
                on_bad_image=settings.on_bad_image,
            )
        batches = data.train_batches(
            examples.source,
            examples.split,
            settings.size,
            settings.batch_size,
            settings.seed,
            first_epoch,
            settings.epochs,
            min_scale=config.min_scale,
            flip=settings.flip,
            on_bad_image=settings.on_bad_image,
        )
        if config.class_weights == "none":
            return batches
        counts = data.class_counts(examples.source, examples.split)
        weights = tf.constant(data.balanced_weights(counts))
        return batches.map(lambda pixels, labels: (pixels, labels, tf.gather(weights, labels)))

    def loss(self, model: keras.Model, config: ClassificationConfig) -> keras.losses.Loss:
        del model
        return SmoothedCrossentropy(config.label_smoothing)

    def metrics(self, model: keras.Model) -> list[keras.metrics.Metric]:
        del model
        return [LabelAccuracy()]

    def measure(
        self,
        predict: Predict,
        examples: Examples,
        config: ClassificationConfig,
        limit: int | None = None,
    ) -> Measured:
        batches = self.batches(examples, config, training=False)
        batches = batches.unbatch().take(limit or -1).batch(64)
        total = min(limit or len(examples), len(examples))
        labels: list[np.ndarray] = []
        outputs: list[Any] = []
        for pixels, truth in progress(batches.as_numpy_iterator(), examples.split, total):
            labels.append(truth)
            outputs.append(predict(pixels))
        if not labels:
            raise UserError(f"no image decodes: {examples.summary()}")
        answers, truth = np.concatenate(outputs), np.concatenate(labels)
        counts = confusion_matrix(answers, truth)
        names = self.class_names(examples.source)
        return Measured(
            figures={"accuracy": accuracy(answers, truth)},
            count=len(truth),
            draw=partial(plot_confusion, counts=counts, class_names=names),
            outputs=answers,
        )

    def agreement(self, reference: Measured, other: Measured) -> dict[str, float]:
        return {
            "agreement": agreement(reference.outputs, other.outputs),
            "sqnr_db": signal_to_noise(reference.outputs, other.outputs),
        }
