"""Where a backbone is tapped for detection, segmentation or keypoints."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from micronet_keras.layers import MicroBlockA, MicroBlockB, MicroBlockC, MicroStemConv2D

_DEEPEST = 32


def pyramid_outputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Feature maps of a MicroNet for detection, segmentation or keypoints.

    Every level is the last narrow ("squeezed") tensor of its stride: what a row puts out, after the
    residual. That also holds for P5, although an expansion to four to six times the channels
    follows it in the same resolution: the expansion is pointwise, so it sees nothing new, and all
    levels should be of a kind.

    Args:
        model: built by `MicroNet` or one of `MicroNetM0` ... `MicroNetM3`, with or without top.

    Returns:
        {"P2": stride 4, "P3": stride 8, "P4": stride 16, "P5": stride 32}, each [batch,
        ceil(height / stride), ceil(width / stride), channels]. Rows of your own may have other
        levels.

    Raises:
        ValueError: `model` is not a MicroNet.

    Example:

    >>> import micronet_keras
    >>> backbone = micronet_keras.MicroNetM0(input_shape=(96, 96, 3), include_top=False)
    >>> features = keras.Model(backbone.input, pyramid_outputs(backbone))
    >>> features.output["P3"].shape
    (None, 12, 12, 12)
    """
    squeezed = _squeezed_outputs(model)
    if not squeezed:
        raise ValueError(f"A MicroNet model is expected. Received: model={model.name}")
    return {f"P{stride.bit_length() - 1}": tensor for stride, tensor in squeezed.items()}


def feature_maps(backbone: keras.Model, strides: Sequence[int]) -> list[keras.KerasTensor]:
    """Taps of a backbone, one for each stride.

    Stride 32 is what the classifier would read: the last expansion after ReLU6 of a MicroNet, the
    output of another backbone. Finer strides are the narrow tensors of `pyramid_outputs`, or of
    another backbone their like: the last residual sum (`keras.layers.Add`) of that stride.

    Args:
        backbone: a MicroNet, with or without top, or a model of `keras.applications` without top.
        strides: out of 4, 8, 16, 32.

    Raises:
        ValueError: the backbone has no such tap, or its image size is open or not divisible by 32.

    Example:

    >>> import micronet_keras
    >>> backbone = micronet_keras.MicroNetM0(input_shape=(96, 96, 3), include_top=False)
    >>> [tap.shape for tap in feature_maps(backbone, (8, 32))]
    [(None, 12, 12, 12), (None, 3, 3, 384)]
    """
    height, width = backbone.input_shape[1:3]
    if height is None or width is None or height % _DEEPEST or width % _DEEPEST:
        raise ValueError(
            f"A detector needs a fixed image size, divisible by {_DEEPEST}. "
            f"Received: {backbone.name!r} with images {(height, width)}"
        )
    found = _squeezed_outputs(backbone)
    if found:
        found[_DEEPEST] = _last_expansion(backbone)
    else:
        sums = [layer.output for layer in backbone.layers if isinstance(layer, keras.layers.Add)]
        found = {height // tensor.shape[1]: tensor for tensor in sums} | {_DEEPEST: backbone.output}
    for stride in strides:
        shape = found[stride].shape if stride in found else None
        if shape is None or tuple(shape[1:3]) != (height // stride, width // stride):
            raise ValueError(
                f"The backbone has feature maps of strides {sorted(found)}. "
                f"Received: strides={tuple(strides)} of {backbone.name!r}"
            )
    return [found[stride] for stride in strides]


def _squeezed_outputs(model: keras.Model) -> dict[int, keras.KerasTensor]:
    """The last narrow tensor of every stride of a MicroNet; empty for another model."""
    stride = 1
    levels = {}
    for layer in model.layers:
        if isinstance(layer, MicroStemConv2D):
            stride = layer.strides
        elif isinstance(layer, MicroBlockA | MicroBlockB | MicroBlockC):
            stride *= layer.strides
            levels[stride] = layer.output if isinstance(layer, MicroBlockA) else layer.output[1]
    return levels


def _last_expansion(model: keras.Model) -> keras.KerasTensor:
    """The output of the last block's expansion, after the ReLU6 that reads it."""
    blocks = [layer for layer in model.layers if isinstance(layer, MicroBlockB | MicroBlockC)]
    expanded = blocks[-1].output[0]
    return next(
        layer.output
        for layer in model.layers
        if isinstance(layer, keras.layers.ReLU) and layer.input is expanded
    )
