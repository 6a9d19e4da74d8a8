"""The exponential moving average of the weights (EMA) as a Keras callback."""

import contextlib
from collections.abc import Iterator

import keras
from keras import ops


class WeightAverage(keras.callbacks.Callback):
    """Keeps a running average of all floating-point weights and evaluates with it.

    Batch-norm statistics are averaged as well: they belong to the weights that they were measured
    with. After update t (0, 1, 2, ...) the average moved towards the weights by 1 - d,
    d = min(decay, (1 + t) / (10 + t)), so that the first, random weights are soon forgotten.
    `evaluate`, also inside `fit`, sees the average; training goes on with the weights themselves.

    Args:
        decay: per step, 0 to below 1, e.g. 0.9999.
    """

    def __init__(self, decay: float):
        super().__init__()
        self.decay = decay

    def build(self, model: keras.Model) -> None:
        """Starts the average at the weights of `model`."""
        self._weights = [
            weight for weight in model.weights if keras.backend.is_float_dtype(weight.dtype)
        ]
        self._averages = [
            keras.Variable(ops.copy(weight.value), trainable=False, dtype=weight.dtype)
            for weight in self._weights
        ]
        self._updates = keras.Variable(0, trainable=False, dtype="int32")
        self._step = self._update
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # Hundreds of small assignments, every step: a graph makes them cheap.
            self._step = tf.function(self._update, jit_compile=False)
        if keras.backend.backend() == "jax":
            self._step = self._step_of_jax()

    @property
    def variables(self) -> list[keras.Variable]:
        """What a checkpoint has to keep."""
        return [*self._averages, self._updates]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block the model holds the average."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def on_train_batch_end(self, batch, logs=None):
        self._step()

    def on_test_begin(self, logs=None):
        self._swap()

    def on_test_end(self, logs=None):
        self._swap()

    def _step_of_jax(self):
        import jax

        @jax.jit
        def moved(averages, weights, updates):
            return [
                average + ops.cast(self._rate(updates), average.dtype) * (weight - average)
                for average, weight in zip(averages, weights, strict=True)
            ], updates + 1

        def step():
            # `fit` keeps the weights to itself between steps, unless it is asked.
            self.model.jax_state_sync()
            averages = [average.value for average in self._averages]
            weights = [weight.value for weight in self._weights]
            values, updates = moved(averages, weights, self._updates.value)
            for variable, value in zip(self.variables, [*values, updates], strict=True):
                variable.assign(value)

        return step

    def _rate(self, updates):
        updates = ops.cast(updates, "float32")
        return 1.0 - ops.minimum(self.decay, (1.0 + updates) / (10.0 + updates))

    def _update(self):
        rate = self._rate(self._updates.value)
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.assign_add(ops.cast(rate, average.dtype) * (weight.value - average.value))
        self._updates.assign_add(1)

    def _swap(self):
        for average, weight in zip(self._averages, self._weights, strict=True):
            kept = ops.copy(weight.value)
            weight.assign(average.value)
            average.assign(kept)
