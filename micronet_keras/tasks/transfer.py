"""Starting from the weights of another model: a run before, a converted checkpoint."""

import os

import keras

from micronet_keras.models import read_keras
from micronet_mcu.errors import UserError


def transfer_weights(
    model: keras.Model, source: str | os.PathLike | keras.Model, skip_head: bool = False
) -> list[str]:
    """Copies the weights of `source` into `model`, layer by layer of the same name.

    Everything is compared before anything is assigned.

    Args:
        model: what receives the weights.
        source: a `.keras` file, e.g. `best.keras` of a run, or a model.
        skip_head: layers that differ in nothing but the number of classes keep the weights that
            they have in `model`.

    Returns:
        Names of the skipped layers.

    Raises:
        UserError: not a Keras model file, damaged, a layer is missing, unknown or of another shape;
            the model is unchanged.

    Example:

    >>> keras.saving.save_model(micronet_keras.MicroNetM0((64, 64, 3), classes=3), "m0.keras")
    >>> model = micronet_keras.MicroNetM0((64, 64, 3), classes=5)
    >>> transfer_weights(model, "m0.keras", skip_head=True)
    ['logits_dense', 'logits_bn']
    """
    origin = model.name if isinstance(source, keras.Model) else str(source)
    if not isinstance(source, keras.Model):
        source = read_keras(source)
    theirs = {layer.name: layer.weights for layer in source.layers if layer.weights}
    ours = {layer.name: layer.weights for layer in model.layers if layer.weights}
    classes = (source.output_shape[-1], model.output_shape[-1])

    complaints = [f"no layer {name!r}" for name in ours if name not in theirs]
    complaints += [f"unknown layer {name!r}" for name in theirs if name not in ours]
    head = []
    for name in [name for name in ours if name in theirs]:
        shapes = [[tuple(weight.shape) for weight in weights[name]] for weights in (theirs, ours)]
        if shapes[0] == shapes[1]:
            continue
        if _only_classes_differ(*shapes, classes):
            head.append(name)
        else:
            complaints.append(f"layer {name!r} has shapes {shapes[0]} instead of {shapes[1]}")
    if complaints:
        shown = "; ".join(complaints[:4]) + ("; ..." if len(complaints) > 4 else "")
        raise UserError(f"{origin} does not fit {model.name}: {shown}")
    if head and not skip_head:
        raise UserError(
            f"{origin} is for {classes[0]} classes, the dataset has {classes[1]}; "
            "`skip_head=True` starts with a new last layer"
        )
    for name, weights in ours.items():
        if name not in head:
            for weight, value in zip(weights, theirs[name], strict=True):
                weight.assign(value.value)
    return head


def _only_classes_differ(theirs: list[tuple], ours: list[tuple], classes: tuple[int, int]) -> bool:
    return len(theirs) == len(ours) and all(
        one == other or (one[:-1] == other[:-1] and (one[-1], other[-1]) == classes)
        for one, other in zip(theirs, ours, strict=True)
    )
