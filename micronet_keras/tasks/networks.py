"""The networks that tasks are built on, with the weights that a run starts from."""

from collections.abc import Callable

import keras

from micronet_keras import models
from micronet_keras.tasks.transfer import transfer_weights

NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "m0": models.MicroNetM0,
    "m1": models.MicroNetM1,
    "m2": models.MicroNetM2,
    "m3": models.MicroNetM3,
}


def build_classifier(
    network: str,
    shape: tuple[int, int, int],
    classes: int,
    dropout: float,
    weights: str | None = None,
    skip_head: bool = False,
) -> keras.Model:
    """A network with its classifier; arguments as of `Task.build`.

    Raises:
        UserError: the weights are missing, damaged or of another model.
    """
    build = NETWORKS[network]
    model = build(input_shape=shape, classes=classes, dropout_rate=dropout)
    if weights == "imagenet":
        transfer_weights(model, build(input_shape=shape, weights="imagenet"), skip_head)
    elif weights and weights.endswith(".pth"):
        models.load_pytorch_checkpoint(model, weights, skip_head=skip_head)
    elif weights and weights.endswith(".weights.h5"):
        models.load_weights_file(model, weights)
    elif weights:
        transfer_weights(model, weights, skip_head)
    return model


def build_backbone(
    network: str, shape: tuple[int, int, int], weights: str | None = None
) -> keras.Model:
    """A network without a classifier; the weights of one with a classifier fit all the same.

    Raises:
        UserError: the weights are missing, damaged or of another model.
    """
    build = NETWORKS[network]
    if weights and weights.endswith(".pth"):
        backbone = build(input_shape=shape, include_top=False)
        models.load_pytorch_checkpoint(backbone, weights, skip_head=True)
        return backbone
    return build(input_shape=shape, include_top=False, weights=weights)
