"""The authors' optimiser and learning-rate schedule as Keras objects."""

import keras
from keras import ops

from micronet_settings.training import TrainConfig


@keras.saving.register_keras_serializable("micronet_keras")
class MomentumSGD(keras.optimizers.Optimizer):
    """SGD with momentum and L2 weight decay in the form that the authors trained with (PyTorch's).

    With gradient g, variable w, momentum buffer v (first 0) and learning rate r, a step is

        v = momentum * v + (g + weight_decay * w)
        w = w - r * v

    `keras.optimizers.SGD` differs twice: its weight decay is decoupled from the momentum, and the
    learning rate sits inside the buffer, so that a falling rate acts later.
    As in the authors' code every trainable variable decays, batch-norm scales and biases included.

    Args:
        learning_rate: a number or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: 0 to below 1.
        weight_decay: L2 coefficient, 0 or more.
        kwargs: those of `keras.optimizers.Optimizer`, e.g. `clipnorm`.

    Example:

    >>> model.compile(MomentumSGD(0.1, momentum=0.9, weight_decay=3e-5), loss="mse")
    """

    def __init__(
        self, learning_rate=0.1, momentum=0.9, weight_decay=0.0, name="momentum_sgd", **kwargs
    ):
        # The base class would apply its own, decoupled decay: it is not told about ours.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum
        self.l2 = weight_decay

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._buffers = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        buffer = self._buffers[self._get_variable_index(variable)]
        gradient = ops.cast(gradient, variable.dtype)
        if self.l2:
            gradient = gradient + self.l2 * variable
        self.assign(buffer, self.momentum * buffer + gradient)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * buffer)

    def get_config(self):
        config = super().get_config()
        return {**config, "momentum": self.momentum, "weight_decay": self.l2}


def learning_rate_schedule(
    config: TrainConfig, steps_per_epoch: int
) -> keras.optimizers.schedules.CosineDecay:
    """The authors' schedule, per step: a linear rise from 0 to the peak, then half a cosine to 0.

    Step s of the warm-up (W steps) has the rate peak * s / W; step s after it, of S steps in all,
    peak * (1 + cos(pi * (s - W) / (S - W))) / 2.
    """
    warmup_steps = config.warmup_epochs * steps_per_epoch
    decay_steps = config.epochs * steps_per_epoch - warmup_steps
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, decay_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps, warmup_target=config.learning_rate, warmup_steps=warmup_steps
    )
