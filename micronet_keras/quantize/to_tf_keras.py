"""Keras 3's optimizers, losses and metrics for a model of tf_keras."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from micronet_keras.quantize.legacy_keras import tf_keras

# tf_keras finds out what is meant when it sees the labels.
_CHOSEN_BY_LABELS = ("accuracy", "acc", "crossentropy", "ce")


def optimizer(given: Any) -> Any:
    """A Keras 3 optimizer as the tf_keras one of the same name and settings.

    Anything else is returned as it is.

    Raises:
        ValueError: there is none, or it cannot do all of this.
    """
    if not isinstance(given, keras.optimizers.Optimizer):
        return given
    twin = getattr(tf_keras.optimizers, type(given).__name__, None)
    if twin is None:
        raise ValueError(
            "tf_keras.optimizers must have a class of this name. "
            f"Received: {type(given).__name__!r}"
        )
    return _with_settings_of(given, twin)


def losses(given: Any) -> Any:
    """One loss, or a list or dictionary of them by output, of either Keras.

    A name, function or object of Keras 3 itself becomes tf_keras' own. What tf_keras lacks, and
    losses written for Keras 3 as those of `micronet_keras.losses`, is called with the model's
    tensors, which takes the TensorFlow backend.

    Raises:
        ValueError: neither Keras knows the name; tf_keras' own cannot do all that is set; or the
            loss is computed by Keras 3, and Keras runs on another backend.
    """
    return _each(given, lambda one: _translated(one, "losses", _Loss))


def metrics(given: Any) -> Any:
    """Metrics as Keras takes them (one, a list, or by output) for tf_keras; as `losses`."""

    def translate(one):
        chosen_by_labels = isinstance(one, str) and one in _CHOSEN_BY_LABELS
        return one if chosen_by_labels else _translated(one, "metrics", _Metric)

    if given is not None and not isinstance(given, list | tuple | dict):
        given = [given]
    return _each(given, translate)


def _each(given: Any, translate: Callable) -> Any:
    if isinstance(given, dict):
        return {name: _each(item, translate) for name, item in given.items()}
    if isinstance(given, list | tuple):
        return [_each(item, translate) for item in given]
    return translate(given)


def _translated(given: Any, kind: str, wrapper: type) -> Any:
    """One of "losses" or "metrics" as the thing of the same name in tf_keras, else wrapped."""
    ours, theirs = getattr(keras, kind), getattr(tf_keras, kind)
    if isinstance(given, str):
        if _knows(theirs, given):
            return given
        if not _knows(ours, given):
            raise ValueError(
                f"Neither Keras 3 nor tf_keras has it in its {kind}. Received: {given!r}"
            )
        given = ours.get(given)
    is_object = isinstance(given, keras.losses.Loss | keras.metrics.Metric)
    what = type(given) if is_object else given
    name = getattr(what, "__name__", "")
    twin = getattr(theirs, name, None)
    # MeanMetricWrapper is told by its function, which may be one of Keras 3.
    if twin is not None and getattr(ours, name, None) is what and name != "MeanMetricWrapper":
        return _with_settings_of(given, twin) if is_object else twin
    of_keras_3 = is_object or str(getattr(what, "__module__", "")).startswith("keras.")
    if not of_keras_3:
        return given
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"quantization-aware training computes in TensorFlow: {name} can be used on Keras' "
            f"tensorflow backend only. Received: {keras.backend.backend()}"
        )
    return wrapper(given) if is_object else given


def _knows(module: Any, name: str) -> bool:
    """Whether the losses or metrics of one Keras have this name."""
    try:
        # tf_keras gives an unknown name back.
        return callable(module.get(name))
    except ValueError:
        return False


def _with_settings_of(given: Any, twin: Any) -> Any:
    config = {
        name: {"class_name": value["class_name"], "config": value["config"]}
        if isinstance(value, dict) and "class_name" in value
        else value
        for name, value in given.get_config().items()
    }
    known = set(inspect.signature(twin).parameters)
    defaults = inspect.signature(type(given)).parameters
    lost = [
        name
        for name, value in config.items()
        if name not in known and (name not in defaults or value != defaults[name].default)
    ]
    if lost:
        raise ValueError(
            f"tf_keras' {twin.__name__} cannot do all of this. Received: "
            + ", ".join(f"{name}={config[name]!r}" for name in lost)
        )
    return twin.from_config({name: value for name, value in config.items() if name in known})


def _as_given(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Labels [batch] are handed over as [batch, 1] by tf_keras, and would be broadcast."""
    ranks = y_true.shape.rank, y_pred.shape.rank
    column = ranks == (2, 2) and y_true.shape[1] == 1 < y_pred.shape[1]
    return tf.squeeze(y_true, 1) if column else y_true


class _Loss(tf_keras.losses.Loss):
    """A Keras 3 loss, reduced and weighted by tf_keras."""

    def __init__(self, loss: keras.losses.Loss):
        super().__init__(reduction=loss.reduction, name=loss.name)
        self._loss = loss

    @tf.autograph.experimental.do_not_convert
    def call(self, y_true, y_pred):
        dtype = self._loss.dtype
        y_true = _as_given(y_true, y_pred)
        return self._loss.call(
            keras.ops.convert_to_tensor(y_true, dtype), keras.ops.convert_to_tensor(y_pred, dtype)
        )


class _Metric(tf_keras.metrics.Metric):
    """A Keras 3 metric, whose variables are TensorFlow's."""

    def __init__(self, metric: keras.metrics.Metric):
        super().__init__(name=metric.name)
        self._metric = metric

    @tf.autograph.experimental.do_not_convert
    def update_state(self, y_true, y_pred, sample_weight=None):
        self._metric.update_state(_as_given(y_true, y_pred), y_pred, sample_weight)

    @tf.autograph.experimental.do_not_convert
    def result(self):
        return self._metric.result()

    def reset_state(self):
        self._metric.reset_state()
