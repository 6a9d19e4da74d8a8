"""Training: one loop with exact resume for every task, and what a run leaves behind."""

from micronet_keras.train.average import WeightAverage
from micronet_keras.train.loop import jit_compile, make_repeatable
from micronet_keras.train.optimizer import MomentumSGD, learning_rate_schedule
from micronet_keras.train.plot import plot_history
from micronet_keras.train.run import Run, read_run
from micronet_keras.train.start import train_network
from micronet_keras.train.train import TrainResult, train, with_validation

__all__ = [
    "MomentumSGD",
    "Run",
    "TrainResult",
    "WeightAverage",
    "jit_compile",
    "learning_rate_schedule",
    "make_repeatable",
    "plot_history",
    "read_run",
    "train",
    "train_network",
    "with_validation",
]


def __dir__() -> list[str]:
    return list(__all__)
