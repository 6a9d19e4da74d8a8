"""The networks whose quantization is compared, by name, each with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import keras

from micronet_keras import models


class Network(NamedTuple):
    """One row of the comparison.

    Attributes:
        build: from ``input_shape=`` and ``classes=`` to a model that gives logits.
        preprocessing: what it takes, see `TrainConfig`; "none" where Keras has it inside.
        rate: its share of the recipe's learning rate.
    """

    build: Callable[..., keras.Model]
    preprocessing: str = "imagenet"
    rate: float = 1.0


def _application(name: str, **options: Any) -> Callable[..., keras.Model]:
    return partial(
        getattr(keras.applications, name), weights=None, classifier_activation=None, **options
    )


_V3: dict[str, Any] = {"include_preprocessing": False}
_MINIMALISTIC: dict[str, Any] = {**_V3, "minimalistic": True}

NETWORKS: Mapping[str, Network] = {
    "micronet_m0": Network(models.MicroNetM0),
    "micronet_m1": Network(models.MicroNetM1),
    "micronet_m2": Network(models.MicroNetM2),
    "micronet_m3": Network(models.MicroNetM3),
    "mobilenet": Network(_application("MobileNet")),
    "mobilenet_v2": Network(_application("MobileNetV2")),
    "mobilenet_v3_small": Network(_application("MobileNetV3Small", **_V3)),
    "mobilenet_v3_small_minimalistic": Network(_application("MobileNetV3Small", **_MINIMALISTIC)),
    "mobilenet_v3_large": Network(_application("MobileNetV3Large", **_V3)),
    "mobilenet_v3_large_minimalistic": Network(_application("MobileNetV3Large", **_MINIMALISTIC)),
    "efficientnet_b0": Network(_application("EfficientNetB0"), preprocessing="none"),
    "resnet50": Network(_application("ResNet50")),
    "resnet8": Network(models.ResNet8),
    "ds_cnn": Network(models.DSCNN),
    "shufflenet_v2_0.5": Network(partial(models.ShuffleNetV2, 0.5)),
    # Without batch normalization it stands no more.
    "squeezenet": Network(models.SqueezeNet, rate=0.1),
}


def build(name: str, size: tuple[int, int], classes: int) -> keras.Model:
    """A network of `NETWORKS` for images of (height, width).

    Its batch norms have momentum 0.9, as MicroNet's.

    Example:

    >>> build("ds_cnn", (32, 32), 10).output_shape
    (None, 10)
    """
    model = NETWORKS[name].build(input_shape=(*size, 3), classes=classes)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    return model
