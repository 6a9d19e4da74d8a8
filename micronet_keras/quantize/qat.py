"""Quantization-aware training; this module and its builder alone know tf_keras and tfmot.

tfmot works on Keras 2 alone, so the lowered graph is built once more from tf_keras layers, and that
model is fine-tuned.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from micronet_keras.lower import lower
from micronet_keras.lower.emit import coefficient_names, emit, hidden_name
from micronet_keras.lower.graph import Conv, Dense, DepthwiseConv, DYShiftMax, Graph
from micronet_keras.quantize.calibrate import calibrate, prepare
from micronet_keras.quantize.quantized_graph import QuantizedGraph
from micronet_keras.quantize.tf_keras_builder import TfKerasBuilder
from micronet_mcu.errors import UserError


class QuantizeAwareModel(tf_keras.Model):
    """A tf_keras model that trains with rounded weights and activations.

    Made by `quantize_aware`. It takes images as the lowered graph takes them (`preprocess` makes
    them of pixels) and is compiled and fitted like any Keras model. Optimizer and metrics may be
    strings, tf_keras objects, or Keras 3 objects that tf_keras has too; losses may be of either
    Keras.
    """

    def compile(self, optimizer="sgd", loss=None, metrics=None, **kwargs):
        """Like ``keras.Model.compile``.

        Raises:
            ValueError: a Keras 3 object that has no equal in tf_keras.
        """
        metrics = [_to_tf_keras(metric, "metrics") for metric in metrics or []]
        kwargs.setdefault("jit_compile", False)
        super().compile(_to_tf_keras(optimizer, "optimizers"), loss, metrics, **kwargs)

    def fit(self, *args, callbacks=None, **kwargs):
        """Like ``keras.Model.fit``.

        Raises:
            ValueError: a Keras 3 callback; tf_keras cannot call it.
        """
        foreign = [
            type(c).__name__ for c in callbacks or [] if isinstance(c, keras.callbacks.Callback)
        ]
        if foreign:
            raise ValueError(f"Callbacks must be of tf_keras.callbacks. Received: {foreign}")
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def preprocess(self, images) -> tf.Tensor:
        """Whole pixel values [n, height, width, 3] -> what this model takes."""
        return prepare(self.template, images)

    def quantized_graph(self, class_names: Iterable[str] = ()) -> QuantizedGraph:
        """The graph with the weights and ranges as trained so far, ready for conversion."""
        graph = Graph(self.template.packed_classes)
        for node in self.template:
            graph.add(_with_trained_weights(node, self.trained))
        graph.outputs = list(self.template.outputs)
        ranges = {name: quantizer.range() for name, quantizer in self.range_quantizers.items()}
        return QuantizedGraph(graph, ranges, tuple(class_names))


def quantize_aware(
    model: keras.Model | Graph, calibration: Iterable[np.ndarray]
) -> QuantizeAwareModel:
    """Builds the model that is fine-tuned before conversion.

    Args:
        model: a trained Keras model that takes what `preprocess_input` returns, or a lowered graph.
        calibration: batches of images as `calibrate` takes them: the ranges that training starts
            with. Without them the first hundreds of steps would be clipped (tfmot starts at -6 ..
            6).

    Returns:
        A model with the outputs of `model`; a detector's maps are packed as there.

    Example:

    >>> qat = quantize_aware(model, calibration=[images])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> qat.compile("sgd", loss, ["accuracy"])
    >>> history = qat.fit(qat.preprocess(images), labels, verbose=0)
    >>> quantized = qat.quantized_graph()
    """
    graph = model if isinstance(model, Graph) else lower(model)
    ranges = calibrate(graph, calibration)
    builder = TfKerasBuilder(ranges)
    outputs = emit(graph, builder)
    if graph.packed_classes is not None:
        outputs = [_packed(outputs, graph.packed_classes)]
    qat = QuantizeAwareModel(builder.image, outputs[0] if len(outputs) == 1 else outputs)
    qat.template = graph
    qat.range_quantizers = builder.range_quantizers
    qat.trained = builder.trained
    return qat


def _packed(maps: Sequence[tf.Tensor], classes: int) -> tf.Tensor:
    """What `micronet_keras.layers.PackLevels` gives, for a loss of all places together."""
    rows = []
    for scores, boxes in zip(maps[::2], maps[1::2], strict=True):
        places = math.prod(boxes.shape[1:]) // 4
        parts = [tf.reshape(scores, (-1, places, classes)), tf.reshape(boxes, (-1, places, 4))]
        rows.append(tf.concat(parts, axis=2))
    return tf.concat(rows, axis=1)


def fine_tune(
    qat: QuantizeAwareModel,
    batches: Callable[[int], tf.data.Dataset],
    *,
    loss: Callable,
    metrics: Sequence[str] = (),
    validation: tf.data.Dataset,
    steps_per_epoch: int,
    epochs: int,
    learning_rate: float = 1e-5,
    backup: str | os.PathLike,
    verbose: int | str = "auto",
) -> dict[str, list[float]]:
    """Fine-tunes with SGD (momentum 0.9, cosine decay), and resumes where a killed run was.

    The weights of the best epoch are kept, those from before the first epoch among them:
    fine-tuning does not end worse, on the validation data, than quantization without training.

    Args:
        qat: what `quantize_aware` returns.
        batches: from the epoch to begin with to a stream of (pixels uint8, targets) batches.
        loss: of either Keras.
        metrics: names of tf_keras metrics. With "accuracy" the best epoch is that of the highest,
            else that of the lowest loss.
        validation: (pixels, targets) batches, evaluated before the first and after each epoch.
        steps_per_epoch: batches of an epoch.
        epochs: epochs in all.
        learning_rate: at the start; it falls to 0. With the batch norms folded, a channel whose
            inputs vary widely has a small kernel and large gradients: ten times as much already
            harms.
        backup: a folder for the state after each epoch, for the caller to remove when the result
            is safe.
        verbose: as of ``keras.Model.fit``.

    Returns:
        The history of the epochs that ran now: one list for each metric.

    Raises:
        UserError: the loss is not a number any more, or `backup` cannot be written or is damaged.
    """
    schedule = tf_keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps_per_epoch)
    optimizer = tf_keras.optimizers.SGD(schedule, momentum=0.9)
    qat.compile(optimizer, loss, list(metrics))
    optimizer.build(qat.trainable_variables)

    def prepared(pixels, targets):
        return qat.preprocess(pixels), targets

    watched = validation.map(prepared)
    try:
        backups = _Backups(qat, optimizer, backup)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"the state in {backup} is damaged; remove it: {error}") from error
    try:
        if not backups.epochs_done:
            started = qat.evaluate(watched, verbose=0, return_dict=True)
            backups.keep_if_best({f"val_{name}": value for name, value in started.items()})
        history = qat.fit(
            batches(backups.epochs_done).map(prepared),
            validation_data=watched,
            steps_per_epoch=steps_per_epoch,
            initial_epoch=backups.epochs_done,
            epochs=epochs,
            verbose=verbose,
            callbacks=[backups],
        )
        backups.restore_best()
    except (OSError, AssertionError, tf.errors.OpError) as error:
        raise UserError(f"cannot use {backup} for the state of the training: {error}") from error
    return history.history


class _Backups(tf_keras.callbacks.Callback):
    """The states after the last epoch and after the best one, in files of one folder."""

    def __init__(self, qat, optimizer, folder: str | os.PathLike):
        super().__init__()
        self._done = tf.Variable(0, dtype=tf.int64)
        self._best_score = tf.Variable(-np.inf)
        state = tf.train.Checkpoint(
            weights=qat.variables,
            optimizer=list(optimizer.variables),
            epochs_done=self._done,
            best_score=self._best_score,
        )
        self._last = tf.train.CheckpointManager(state, os.fspath(folder), max_to_keep=1)
        self._best = tf.train.Checkpoint(weights=qat.variables)
        self._best_path = os.path.join(folder, "best")
        state.restore(self._last.latest_checkpoint)

    @property
    def epochs_done(self) -> int:
        return int(self._done)

    def keep_if_best(self, logs: dict[str, float]) -> None:
        score = logs["val_accuracy"] if "val_accuracy" in logs else -logs["val_loss"]
        if score > float(self._best_score):
            self._best.write(self._best_path)
            self._best_score.assign(score)

    def restore_best(self) -> None:
        self._best.read(self._best_path).assert_consumed()

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            raise UserError(
                "the loss is not a number any more; choose a smaller learning rate "
                "(the state after the last whole epoch is kept)"
            )

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" in logs:
            self.keep_if_best(logs)
        # The best first: killed in between, the epoch runs once more and is found the best again.
        self._done.assign(epoch + 1)
        self._last.save()


def _to_tf_keras(thing, kind: str):
    """A Keras 3 optimizer or metric as the tf_keras one of the same name and settings."""
    if not isinstance(thing, keras.optimizers.Optimizer | keras.metrics.Metric):
        return thing
    name, config = type(thing).__name__, thing.get_config()
    for key, value in config.items():
        if isinstance(value, dict) and "class_name" in value:
            config[key] = {"class_name": value["class_name"], "config": value["config"]}
    twin = getattr(getattr(tf_keras, kind), name, None)
    if twin is None:
        raise ValueError(f"tf_keras.{kind} must have a class of this name. Received: {name!r}")
    known = set(twin().get_config()) if kind == "optimizers" else set(config)
    defaults = type(thing)().get_config() if kind == "optimizers" else {}
    lost = [k for k, v in config.items() if k not in known and v != defaults.get(k)]
    if lost:
        raise ValueError(f"tf_keras.{kind}.{name} cannot do all of this. Received: {lost}")
    return twin.from_config({key: value for key, value in config.items() if key in known})


def _with_trained_weights(node, trained):
    def weights(name):
        return [variable.numpy() for variable in trained[name]]

    match node:
        case Conv() | DepthwiseConv() | Dense():
            kernel, bias = weights(node.name)
            return dataclasses.replace(node, kernel=kernel, bias=bias)
        case DYShiftMax():
            squeeze_kernel, squeeze_bias = weights(hidden_name(node))
            pairs = [weights(name) for name in coefficient_names(node)]
            kernels, biases = map(np.stack, zip(*pairs, strict=True))
            return dataclasses.replace(
                node,
                squeeze_kernel=squeeze_kernel,
                squeeze_bias=squeeze_bias,
                kernels=kernels,
                biases=biases,
            )
    return node
