"""ResNet-8 and DS-CNN of MLPerf Tiny, for comparisons, as functional models.

Built after the benchmark's descriptions (Banbury et al., "MLPerf Tiny Benchmark", 2021) of image
classification on CIFAR-10 and keyword spotting.
"""

from __future__ import annotations

import keras

from micronet_keras import checks


def ResNet8(  # noqa: N802 (named as the builders of keras.applications are)
    input_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10
) -> keras.Model:
    """The ResNet of MLPerf Tiny's image classification, with random weights.

    78,666 parameters and 12.5 million multiply-adds for 32 x 32 pixels.

    Args:
        input_shape: (height, width, channels).
        classes: of the classifier.

    Returns:
        A model from float images [batch, height, width, channels] to logits [batch, classes].

    Raises:
        ValueError: `classes` is not positive.

    Example:

    >>> ResNet8().count_params()
    78666
    """
    checks.positive_int("classes", classes)
    image = keras.Input(input_shape, name="image")
    x = _normalized(_convolution(image, 16, 3, 1, "stem"), "stem")
    for stack, (filters, strides) in enumerate(((16, 1), (32, 2), (64, 2)), start=1):
        name = f"stack{stack}"
        y = _normalized(_convolution(x, filters, 3, strides, f"{name}_conv1"), f"{name}_conv1")
        y = _convolution(y, filters, 3, 1, f"{name}_conv2")
        y = _normalized(y, f"{name}_conv2", activated=False)
        if strides != 1:
            x = _convolution(x, filters, 1, strides, f"{name}_shortcut")
        x = keras.layers.Add(name=f"{name}_add")([x, y])
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = keras.layers.Dense(classes, kernel_initializer="he_normal", name="logits")(x)
    return keras.Model(image, x, name="resnet8")


def DSCNN(  # noqa: N802
    input_shape: tuple[int, int, int] = (49, 10, 1), classes: int = 12
) -> keras.Model:
    """The depthwise-separable CNN of MLPerf Tiny's keyword spotting, with random weights.

    24,908 parameters and 2.66 million multiply-adds for spectrograms of 49 x 10.

    Args:
        input_shape: (steps of time, coefficients, channels).
        classes: of the classifier.

    Returns:
        A model from float maps [batch, height, width, channels] to logits [batch, classes].

    Raises:
        ValueError: `classes` is not positive.

    Example:

    >>> DSCNN().count_params()
    24908
    """
    checks.positive_int("classes", classes)
    image = keras.Input(input_shape, name="image")
    x = _normalized(_convolution(image, 64, (10, 4), 2, "stem"), "stem")
    x = keras.layers.Dropout(0.2, name="stem_dropout")(x)
    for number in range(1, 5):
        name = f"block{number}"
        x = keras.layers.DepthwiseConv2D(3, padding="same", name=f"{name}_depthwise")(x)
        x = _normalized(x, f"{name}_depthwise")
        x = _normalized(_convolution(x, 64, 1, 1, f"{name}_pointwise"), f"{name}_pointwise")
    x = keras.layers.Dropout(0.4, name="dropout")(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(image, x, name="ds_cnn")


def _convolution(x, filters: int, kernel_size, strides: int, name: str):
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(1e-4),
        name=name,
    )(x)


def _normalized(x, name: str, activated: bool = True):
    x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if activated else x
