"""The optimizer against numpy and PyTorch, the schedule and loss against hand-worked numbers."""

import math

import keras
import numpy as np
import optional
import pytest

from micronet_keras.losses import SmoothedCrossentropy
from micronet_keras.tasks import TrainConfig
from micronet_keras.train.optimizer import (
    MomentumSGD,
    learning_rate_schedule,
)

GRADIENTS = np.random.RandomState(0).standard_normal((5, 3)).astype("float32")
START = np.array([1.0, -2.0, 0.5], "float32")


def _trained_by(optimizer):
    variable = keras.Variable(START)
    for gradient in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return keras.ops.convert_to_numpy(variable.value)


def _falling_rate():
    return keras.optimizers.schedules.CosineDecay(0.5, 6)


def test_step_equals_numpy():
    expected, buffer = START.astype("float64"), np.zeros(3)
    for step, gradient in enumerate(GRADIENTS):
        buffer = 0.9 * buffer + gradient + 0.01 * expected
        expected = expected - 0.5 * (1 + math.cos(math.pi * step / 6)) / 2 * buffer
    trained = _trained_by(MomentumSGD(_falling_rate(), momentum=0.9, weight_decay=0.01))
    np.testing.assert_allclose(trained, expected, rtol=2e-6)
    # The decay is no small change that the tolerance would hide.
    assert abs(trained - _trained_by(MomentumSGD(_falling_rate(), momentum=0.9))).max() > 1e-3


@pytest.mark.slow
def test_step_equals_torch():
    optional.require("torch")
    import torch

    weight = torch.nn.Parameter(torch.tensor(START))
    sgd = torch.optim.SGD([weight], lr=0.5, momentum=0.9, weight_decay=0.01)
    for step, gradient in enumerate(GRADIENTS):
        sgd.param_groups[0]["lr"] = 0.5 * (1 + math.cos(math.pi * step / 6)) / 2
        weight.grad = torch.tensor(gradient)
        sgd.step()
    trained = _trained_by(MomentumSGD(_falling_rate(), momentum=0.9, weight_decay=0.01))
    np.testing.assert_allclose(trained, weight.detach().numpy(), rtol=2e-6)


def test_decay_touches_scales_and_biases():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    )
    for variable in model.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    optimizer = MomentumSGD(1.0, momentum=0.0, weight_decay=0.25)
    zeros = [keras.ops.zeros(variable.shape) for variable in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    for variable in model.trainable_variables:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable.value), 0.75)


def test_optimizer_serialises():
    optimizer = MomentumSGD(_falling_rate(), momentum=0.8, weight_decay=0.01)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    np.testing.assert_array_equal(_trained_by(again), _trained_by(optimizer))


def test_schedule_with_warm_up():
    config = TrainConfig(epochs=5, warmup_epochs=1, learning_rate=0.2, batch_size=8)
    schedule = learning_rate_schedule(config, steps_per_epoch=10)
    # 10 steps of rise, 40 of the cosine: a quarter, half and three quarters of it.
    quarter = 0.2 * (1 + math.sqrt(0.5)) / 2
    expected = {0: 0, 1: 0.02, 5: 0.1, 10: 0.2, 20: quarter, 30: 0.1, 40: 0.2 - quarter, 50: 0}
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, abs=1e-7), step


def test_schedule_without_warm_up():
    config = TrainConfig(epochs=2)
    schedule = learning_rate_schedule(config, steps_per_epoch=3)
    expected = {0: 0.1, 2: 0.075, 3: 0.05, 4: 0.025, 6: 0}
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, abs=1e-8), step
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert float(again(4)) == float(schedule(4))


def test_smoothed_loss_by_hand():
    logits = np.log(np.array([[0.7, 0.2, 0.1]], "float32"))
    plain = float(SmoothedCrossentropy()(np.array([1]), logits))
    assert plain == pytest.approx(-math.log(0.2), rel=1e-6)
    # Targets of 0.3 smoothing over three classes: 0.1, 0.8, 0.1.
    smoothed = float(SmoothedCrossentropy(0.3)(np.array([1]), logits))
    by_hand = -(0.1 * math.log(0.7) + 0.8 * math.log(0.2) + 0.1 * math.log(0.1))
    assert smoothed == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_smoothed_loss_equals_keras(smoothing):
    random = np.random.RandomState(1)
    logits = random.standard_normal((7, 5)).astype("float32") * 4
    labels = random.randint(0, 5, 7)
    reference = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    expected = float(reference(np.eye(5, dtype="float32")[labels], logits))
    loss = keras.losses.deserialize(keras.losses.serialize(SmoothedCrossentropy(smoothing)))
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-6)
