"""The networks of the suites by name, each with random weights and logits at its end."""

from collections.abc import Callable
from functools import partial

import keras

from micronet_keras import models
from micronet_keras.models import ShuffleNetV2, with_stem_stride


def _mobilenet_v3_small(alpha: float, shape, classes: int, dropout: float) -> keras.Model:
    return keras.applications.MobileNetV3Small(
        input_shape=shape,
        alpha=alpha,
        weights=None,
        classes=classes,
        dropout_rate=dropout,
        classifier_activation=None,
        include_preprocessing=False,
    )


def _mobilenet_v2(alpha: float, shape, classes: int, dropout: float) -> keras.Model:
    """Keras' own top is the same but for the dropout."""
    features = keras.applications.MobileNetV2(
        input_shape=shape, alpha=alpha, weights=None, include_top=False, pooling="avg"
    )
    x = keras.layers.Dropout(dropout, name="dropout")(features.output)
    x = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(features.input, x, name=f"mobilenet_v2_{alpha}")


def _micronet(size: str, shape, classes: int, dropout: float) -> keras.Model:
    config = models.CONFIGS[size]
    return models.MicroNet(config, shape, classes=classes, dropout_rate=dropout)


def _shufflenet_v2(width: float, shape, classes: int, dropout: float) -> keras.Model:
    return ShuffleNetV2(width, shape, classes, dropout)


NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "micronet_m0": partial(_micronet, "m0"),
    "micronet_m1": partial(_micronet, "m1"),
    "micronet_m2": partial(_micronet, "m2"),
    "micronet_m3": partial(_micronet, "m3"),
    "mobilenet_v3_small_0.35": partial(_mobilenet_v3_small, 0.35),
    "mobilenet_v3_small_0.5": partial(_mobilenet_v3_small, 0.5),
    "mobilenet_v3_small_1.0": partial(_mobilenet_v3_small, 1.0),
    "mobilenet_v2_0.35": partial(_mobilenet_v2, 0.35),
    "shufflenet_v2_0.5": partial(_shufflenet_v2, 0.5),
}

# What is done to the finished network, the same for all of them.
VARIANTS: dict[str, Callable[[keras.Model], keras.Model]] = {
    "as_published": lambda model: model,
    "stem_stride1": lambda model: with_stem_stride(model, 1),
}


def build_network(
    name: str, variant: str, size: tuple[int, int], classes: int, dropout: float
) -> keras.Model:
    """A network of a suite with random weights.

    Args:
        name: a key of `NETWORKS`.
        variant: a key of `VARIANTS`: the published strides (32 in all), or the first convolution
            with stride 1 instead of 2.
        size: height and width of the input in pixels.
        classes: of the classifier.
        dropout: before the last layer, within [0, 1).

    Returns:
        A model from images as `preprocess_input` makes them to logits [batch, classes]. Every batch
        normalization has momentum 0.9: Keras' 0.99 and the 0.999 of its MobileNets leave the
        statistics of a short training behind.
    """
    model = VARIANTS[variant](NETWORKS[name](shape=(*size, 3), classes=classes, dropout=dropout))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    return model
