"""What quantization-aware training takes where nothing else is said, whatever the Keras."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras

from micronet_keras.models.task_model import TaskModel
from micronet_mcu.errors import Doubt, UserError

# With the batch norms folded, a channel whose inputs vary widely has a small kernel and large
# gradients: ten times as much already harms.
LEARNING_RATE = 1e-5
_MOMENTUM = 0.9


def loss_and_metrics(model: Any) -> tuple[Any, Any]:
    """Those that a float model was compiled with, or a task's own; None where there are none."""
    if getattr(model, "compiled", False):
        try:
            config = keras.saving.deserialize_keras_object(model.get_compile_config())
        except Exception:  # Of every kind: metrics of one's own that are not registered.
            config = {}
        return model.loss, config.get("metrics")
    if isinstance(model, TaskModel):
        return model.default_loss(), model.default_metrics()
    return None, None


def optimizer(library: Any) -> Any:
    """SGD with momentum; `decay` brings its rate to 0 along a cosine."""
    return library.optimizers.SGD(LEARNING_RATE, momentum=_MOMENTUM)


def decay(library: Any) -> Any:
    """A callback of this Keras that takes the learning rate from `LEARNING_RATE` to 0."""

    class CosineDecay(library.callbacks.Callback):
        """Over the steps of one `fit`; over its epochs where nobody knows how many steps."""

        def on_epoch_begin(self, epoch, logs=None):
            self._epoch = epoch
            self._set(epoch)

        def on_train_batch_begin(self, batch, logs=None):
            steps = self.params.get("steps")
            if steps:
                self._set(self._epoch + batch / steps)

        def _set(self, epochs_done):
            share = min(epochs_done / self.params["epochs"], 1.0)
            rate = LEARNING_RATE * (1 + math.cos(math.pi * share)) / 2
            self.model.optimizer.learning_rate = rate

    return CosineDecay()


def require_loss(loss: Any) -> Any:
    """The loss, or what to do about there being none.

    Raises:
        UserError: it is None.
    """
    if loss is None:
        raise UserError(
            "the model that was quantized has no loss; name one: qat.compile(loss=...), or compile "
            "the model before quantize_aware"
        )
    return loss


def warn_of_large_rate(given: Any) -> None:
    """Warns where an optimizer begins with a rate that makes a trained model worse."""
    rate = getattr(given, "learning_rate", None)
    if callable(rate):
        rate = rate(0)
    if rate is not None and float(rate) > 10 * LEARNING_RATE * 1.001:
        warnings.warn(
            Doubt(
                f"a learning rate of {float(rate):.3g} makes most int8 models worse, as their "
                f"batch norms are folded: compile() without an optimizer takes {LEARNING_RATE:g}"
            ),
            stacklevel=3,
        )
