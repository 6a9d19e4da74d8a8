"""The running average of the weights against numpy, and who gets to see it."""

import keras
import numpy as np
import pytest

from micronet_keras.train.average import WeightAverage

IMAGES = np.random.RandomState(0).standard_normal((32, 4)).astype("float32")
LABELS = np.random.RandomState(1).randint(0, 3, 32)


def _compiled_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(3)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=False)
    return model


class _Record(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append([weight.copy() for weight in self.model.get_weights()])


def test_average_equals_numpy():
    model = _compiled_model()
    average = WeightAverage(0.4)
    average.build(model)
    expected = [weight.copy() for weight in model.get_weights()]
    record = _Record()
    model.fit(IMAGES, LABELS, batch_size=8, epochs=2, callbacks=[average, record], verbose=0)

    assert len(record.weights) == 8
    for update, weights in enumerate(record.weights):
        rate = 1 - min(0.4, (1 + update) / (10 + update))
        pairs = zip(expected, weights, strict=True)
        expected = [mean + rate * (weight - mean) for mean, weight in pairs]
    trained = model.get_weights()
    with average.applied():
        # Batch-norm scale, offset, mean and variance, dense kernel and bias.
        assert len(model.get_weights()) == 6
        for have, want, raw in zip(model.get_weights(), expected, trained, strict=True):
            np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-6)
            assert not np.array_equal(have, raw)
    for after, before in zip(model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.slow
def test_validation_sees_the_average_and_training_does_not():
    plain = _compiled_model()
    plain.fit(IMAGES, LABELS, batch_size=8, epochs=2, shuffle=False, verbose=0)

    model = _compiled_model()
    average = WeightAverage(0.9)
    average.build(model)
    history = model.fit(
        IMAGES,
        LABELS,
        validation_data=(IMAGES, LABELS),
        batch_size=8,
        epochs=2,
        shuffle=False,
        callbacks=[average],
        verbose=0,
    )
    for have, want in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(have, want)
    with average.applied():
        averaged = model.evaluate(IMAGES, LABELS, batch_size=8, verbose=0)
    raw = model.evaluate(IMAGES, LABELS, batch_size=8, verbose=0)
    assert history.history["val_loss"][-1] == pytest.approx(averaged, rel=1e-5)
    assert abs(averaged - raw) > 1e-3
