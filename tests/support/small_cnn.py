"""A convolutional network of three layers on 16 x 16 pixels, where little is asked of a model."""

import keras
from small_micronet import CLASSES, randomized


def small_cnn(size: int = 16) -> keras.Model:
    """The network with weights that are random but always the same; its output is `logits`."""
    keras.utils.set_random_seed(7)
    pixels = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(pixels)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU(6.0)(x))
    return randomized(keras.Model(pixels, keras.layers.Dense(CLASSES, name="logits")(x)))
