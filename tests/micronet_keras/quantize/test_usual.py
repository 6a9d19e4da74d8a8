"""Quantization-aware training as it is compiled where nothing is said."""

import warnings

import keras
import numpy as np
import pytest
from small_cnn import small_cnn
from small_micronet import CLASSES, images
from stick_figures import tiny_backbone

from micronet_keras.models import MicroNetObjectDetector
from micronet_keras.quantize import ENGINES, quantize_aware
from micronet_keras.quantize.usual import LEARNING_RATE
from micronet_mcu.errors import Doubt, UserError

PIXELS = images(6, 16)
LABELS = np.arange(6) % CLASSES
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_without_arguments_it_takes_what_works(engine):
    model = small_cnn()
    model.compile("adam", LOSS, metrics=["accuracy"])
    qat = quantize_aware(model, PIXELS, engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Doubt)
        qat.compile(run_eagerly=True)
    assert float(qat.optimizer.momentum) == 0.9
    rates = []
    watch = qat.library.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs=None: rates.append(float(qat.optimizer.learning_rate))
    )
    x = qat.preprocess(PIXELS)
    history = qat.fit(x, LABELS, 3, epochs=2, callbacks=[watch], verbose=0).history
    assert {"loss", "accuracy"} <= set(history)
    shares = (1 + np.cos(np.pi * np.array([0, 0.25, 0.5, 0.75]))) / 2
    np.testing.assert_allclose(rates, LEARNING_RATE * shares, rtol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rate_that_harms_is_doubted_and_a_loss_asked_for(engine):
    qat = quantize_aware(small_cnn(), PIXELS, engine)
    with pytest.raises(UserError, match="name one: qat.compile.loss"):
        qat.compile()
    with pytest.warns(Doubt, match="a learning rate of 0.01 makes most int8 models worse"):
        qat.compile("sgd", LOSS)
    optimizers = qat.library.optimizers
    schedule = optimizers.schedules.CosineDecay(1e-3, 10)
    with pytest.warns(Doubt, match="of 0.001 makes"):
        qat.compile(optimizers.SGD(schedule), LOSS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Doubt)
        qat.compile(optimizers.SGD(1e-4), LOSS)
        qat.compile(loss=LOSS)


def test_a_detector_brings_its_own_loss():
    keras.utils.set_random_seed(0)
    detector = MicroNetObjectDetector(tiny_backbone(), 2, width=16, blocks=0)
    qat = quantize_aware(detector, [images(2, 64)], "keras")
    qat.compile()
    assert type(qat.loss) is type(detector.default_loss())
