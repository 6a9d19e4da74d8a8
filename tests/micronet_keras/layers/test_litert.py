"""Keras' own ways to TensorFlow Lite take models with DY-ShiftMax, by builtin operators alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from micronet_keras.layers import DYShiftMax


def converted(model, path):
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def exported(model, path):
    model.export(str(path), format="litert", verbose=False)
    return path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("way", [converted, exported])
def test_the_float_flatbuffer_gives_the_same_numbers(way, tmp_path):
    keras.utils.set_random_seed(1)
    image = keras.Input((6, 4, 12))
    x = DYShiftMax(groups=1)(DYShiftMax(groups=12)(DYShiftMax(groups=3)(image)))
    model = keras.Model(image, x)
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    interpreter = tf.lite.Interpreter(model_content=way(model, tmp_path / "m.tflite"))
    interpreter.allocate_tensors()  # Refuses Flex operators, which nobody has linked.
    values = np.random.default_rng(0).normal(size=(1, 6, 4, 12)).astype("float32")
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, model(values), rtol=1e-5, atol=1e-5)


def test_the_shift_is_a_roll_of_groups_and_of_the_channels_in_them():
    values = np.random.default_rng(0).normal(size=(2, 3, 5, 12)).astype("float32")
    for groups in (1, 3, 12):
        grouped = values.reshape(-1, groups, 12 // groups)
        rolled = np.roll(grouped, (-1, -1), axis=(1, 2)).reshape(values.shape)
        shifted = keras.ops.convert_to_numpy(DYShiftMax(groups).shift(values))
        np.testing.assert_array_equal(shifted, rolled)
