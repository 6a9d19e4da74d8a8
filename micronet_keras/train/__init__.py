"""Training: recipes, the loop with exact resume, and what a run leaves behind."""

from micronet_keras.train.average import WeightAverage
from micronet_keras.train.classification import TrainResult, train_classifier
from micronet_keras.train.fine_tuning import transfer_weights
from micronet_keras.train.loop import jit_compile, make_repeatable
from micronet_keras.train.optimizer import (
    MomentumSGD,
    learning_rate_schedule,
)
from micronet_keras.train.plot import plot_history
from micronet_keras.train.recipes import RECIPES, TrainConfig, with_batch_size

__all__ = [
    "RECIPES",
    "MomentumSGD",
    "TrainConfig",
    "TrainResult",
    "WeightAverage",
    "jit_compile",
    "learning_rate_schedule",
    "make_repeatable",
    "plot_history",
    "train_classifier",
    "transfer_weights",
    "with_batch_size",
]
