"""What a detector and a pose estimator have in common as Keras models."""

from __future__ import annotations

import functools

import keras


class TaskModel(keras.Model):
    """A functional model on a backbone, compiled for its task unless told otherwise.

    Subclasses say what `default_loss` and `default_metrics` are, and add their arguments to
    `get_config`.

    Args:
        backbone: the model whose input this one takes. Layers and weights are shared, not copied.
        output: what it puts out, a Keras tensor that is computed from the backbone's input.
        name: of the model.
    """

    def __init__(self, backbone: keras.Model, output: keras.KerasTensor, name: str):
        super().__init__(backbone.input, output, name=name)
        # A function, for Keras would track the backbone itself as one more layer, with its top.
        self._serialized_backbone = functools.partial(keras.saving.serialize_keras_object, backbone)

    def default_loss(self) -> keras.losses.Loss:
        """What `compile` takes where it is given no loss."""
        raise NotImplementedError

    def default_metrics(self) -> list[keras.metrics.Metric]:
        """What `compile` takes where it is given no metrics."""
        raise NotImplementedError

    def compile(self, optimizer="adam", loss=None, loss_weights=None, metrics=None, **kwargs):
        """Like ``keras.Model.compile``, with the task's own loss and metrics unless given.

        Args:
            optimizer, loss, loss_weights, metrics, kwargs: as there. ``metrics=[]`` is none.
        """
        super().compile(
            optimizer,
            self.default_loss() if loss is None else loss,
            loss_weights,
            self.default_metrics() if metrics is None else metrics,
            **kwargs,
        )

    def compile_from_config(self, config):
        """Compiles a loaded model as it was when it was saved; Keras calls it."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def get_config(self):
        return {"name": self.name, "backbone": self._serialized_backbone()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects)
        return cls(**{**config, "backbone": backbone})
