"""Detectors: a backbone, a feature pyramid and a head, as functional Keras models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras

from micronet_keras import checks
from micronet_keras.layers import (
    ChannelShuffle,
    MicroBlockA,
    MicroFactorizedPointwiseConv2D,
)
from micronet_keras.layers.micro_block import MicroBlock
from micronet_keras.models import pyramid_outputs

# RetinaNet's prior: at first every place says 1 % for every class, or the many empty places would
# drown the few with an object.
_PRIOR = -math.log((1 - 0.01) / 0.01)
_DEEPEST = 32


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
    """
    height, width = backbone.input_shape[1:3]
    if height is None or width is None or height % _DEEPEST or width % _DEEPEST:
        raise ValueError(
            f"A detector needs a fixed image size, divisible by {_DEEPEST}. "
            f"Received: {backbone.name!r} with images {(height, width)}"
        )
    if any(isinstance(layer, MicroBlock) for layer in backbone.layers):
        levels = pyramid_outputs(backbone)
        found = {2 ** int(name[1:]): tensor for name, tensor in levels.items()}
        found[_DEEPEST] = backbone.get_layer("head_relu6").output
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


def light_detector(
    backbone: keras.Model,
    classes: int,
    strides: Sequence[int] = (8, 16),
    width: int = 48,
    blocks: int = 2,
    kernel_size: int = 5,
    name: str | None = None,
) -> keras.Model:
    """A detector for microcontrollers: anchor-free, of micro-factorized convolutions.

    Backbone taps are brought to `width` channels by a grouped 1 x 1 convolution and added from the
    coarsest (stride 32) to the finest by bilinear upsampling. On every level `blocks` times a
    Micro-Block-A follows, then a 1 x 1 convolution for the scores and one for the boxes.

    Why anchor-free, in the manner of FCOS: one box for a place instead of nine is a ninth of the
    outputs to compute, to keep in the arena and to sort on the device; there are no anchor sizes to
    be fitted to a dataset; and distances in strides keep an int8 step a small, equal part of a
    stride (see `PointCoder`). Two levels instead of one heatmap, so that a large object is near
    enough to its place and two objects with one centre can both be found. Why ReLU6 in the blocks
    and not DY-ShiftMax: on a Cortex-M the latter takes more instructions than the convolutions.

    Args:
        backbone: see `feature_maps`. Its layers (and weights) are shared, not copied.
        classes: number of classes.
        strides: of the levels that predict, out of 4, 8, 16, 32, rising by factors of 2.
        width: channels of the head, divisible by 8.
        blocks: Micro-Block-As on each level, 0 or more.
        kernel_size: of their depthwise convolutions, odd.
        name: of the model; "<backbone>_light" unless given.

    Returns:
        Model from what the backbone takes, [batch, height, width, 3], to a list with two tensors
        for each level, finest first: class logits [batch, h, w, classes] and raw boxes
        [batch, h, w, 4] (see `PointCoder`). The layers are named "p3_scores", "p3_boxes", ...

    Raises:
        ValueError: an argument is out of range, or the backbone has no such taps.

    Example:

    >>> backbone = MicroNetM0(input_shape=(128, 128, 3), include_top=False)
    >>> light_detector(backbone, classes=10).output_shape
    [(None, 16, 16, 10), (None, 16, 16, 4), (None, 8, 8, 10), (None, 8, 8, 4)]
    """
    checks.positive_int("classes", classes)
    if checks.positive_int("width", width) % 8:
        raise ValueError(f"`width` must be divisible by 8. Received: {width=}")
    strides = tuple(strides)
    if strides not in [(4, 8, 16, 32)[i:j] for i in range(4) for j in range(i + 1, 5)]:
        raise ValueError(f"`strides` must be a run out of 4, 8, 16, 32. Received: {strides=}")
    checks.not_negative_int("blocks", blocks)
    checks.odd_int("kernel_size", kernel_size)
    down_to = [stride for stride in (4, 8, 16, 32) if stride >= strides[0]]
    outputs: list[keras.KerasTensor] = []
    above = None
    for stride, x in reversed(list(zip(down_to, feature_maps(backbone, down_to), strict=True))):
        level = f"p{stride.bit_length() - 1}"
        groups = math.gcd(4, x.shape[-1])
        x = MicroFactorizedPointwiseConv2D(width, groups, name=f"{level}_lateral")(x)
        x = ChannelShuffle(groups, name=f"{level}_lateral_shuffle")(x)
        if above is not None:
            up = _upsampled(above, level)
            x = keras.layers.Add(name=f"{level}_sum")([x, up])
        above = x
        if stride not in strides:
            continue
        for i in range(1, blocks + 1):
            x = MicroBlockA(
                width,
                kernel_size,
                multipliers=(2, 2),
                hidden_groups=8,
                squeeze_groups=8,
                output_groups=8,
                depthwise_branches=0,
                squeeze_branches=0,
                name=f"{level}_block{i}",
            )(x)
        outputs = [*_predictions(x, classes, level), *outputs]
    return keras.Model(backbone.input, outputs, name=name or f"{backbone.name}_light")


def _upsampled(x, level: str):
    """Twice the height and width. Bilinear: the one kind of resizing that is lowered."""
    return keras.layers.UpSampling2D(
        2, data_format="channels_last", interpolation="bilinear", name=f"{level}_up"
    )(x)


def _predictions(x, classes: int, level: str) -> list[keras.KerasTensor]:
    small = keras.initializers.RandomNormal(stddev=0.01)
    scores = keras.layers.Conv2D(
        classes,
        1,
        kernel_initializer=small,
        bias_initializer=keras.initializers.Constant(_PRIOR),
        data_format="channels_last",
        name=f"{level}_scores",
    )
    # A first guess of two strides to every side.
    boxes = keras.layers.Conv2D(
        4,
        1,
        kernel_initializer=small,
        bias_initializer=keras.initializers.Constant(math.log(math.expm1(2.0))),
        data_format="channels_last",
        name=f"{level}_boxes",
    )
    return [scores(x), boxes(x)]


def retinanet(
    backbone: keras.Model,
    classes: int,
    width: int = 256,
    convolutions: int = 4,
    name: str | None = None,
) -> keras.Model:
    """RetinaNet with a feature pyramid network, the detector of the paper's COCO table.

    P3 to P5 from the backbone's strides 8, 16, 32 (1 x 1 lateral, top-down sums of upsampled
    maps, 3 x 3 on each), P6 and P7 by strided 3 x 3 convolutions; two towers of 3 x 3
    convolutions with ReLU, shared by the levels, for scores and boxes of nine anchors a place.
    Source: Lin et al., ICCV 2017; P6 from P5 as in the detection frameworks' default.

    Its towers are shared between levels and cost a hundred times the backbone: it is for comparing
    backbones, and cannot be lowered to a microcontroller (`light_detector` can).

    Args:
        backbone: see `feature_maps`; images of at least 128 x 128.
        classes: number of classes.
        width: channels of the pyramid and the towers.
        convolutions: 3 x 3 convolutions of each tower before its last, 0 or more.
        name: of the model; "<backbone>_retinanet" unless given.

    Returns:
        Model from what the backbone takes to a list with two tensors for each of P3 ... P7: class
        logits [batch, h, w, 9 * classes] and raw boxes [batch, h, w, 9 * 4] (see `AnchorCoder`).

    Raises:
        ValueError: an argument is out of range, or the backbone has no such taps.

    Example:

    >>> detector = retinanet(MicroNetM3(include_top=False), classes=80)
    """
    checks.positive_int("classes", classes)
    checks.positive_int("width", width)
    checks.not_negative_int("convolutions", convolutions)
    if min(backbone.input_shape[1:3]) < 128:
        raise ValueError(
            "RetinaNet's P7 needs images of at least 128 x 128. "
            f"Received: {backbone.name!r} with images {tuple(backbone.input_shape[1:3])}"
        )
    levels = _feature_pyramid(feature_maps(backbone, (8, 16, 32)), width)
    scores = _tower("scores", width, convolutions, 9 * classes, _PRIOR)
    boxes = _tower("boxes", width, convolutions, 36, 0.0)
    outputs = []
    for level, x in zip(("p3", "p4", "p5", "p6", "p7"), levels, strict=True):
        for kind, tower in (("scores", scores), ("boxes", boxes)):
            y = x
            for layer in tower:
                y = layer(y)
            outputs.append(keras.layers.Identity(name=f"{level}_{kind}")(y))
    return keras.Model(backbone.input, outputs, name=name or f"{backbone.name}_retinanet")


def _feature_pyramid(taps, width: int) -> list[keras.KerasTensor]:
    def conv(kernel_size, label, strides=1):
        return keras.layers.Conv2D(
            width, kernel_size, strides, "same", data_format="channels_last", name=label
        )

    sums = []
    for level, tap in zip((5, 4, 3), reversed(taps), strict=True):
        x = conv(1, f"p{level}_lateral")(tap)
        if sums:
            up = _upsampled(sums[-1], f"p{level}")
            x = keras.layers.Add(name=f"p{level}_sum")([x, up])
        sums.append(x)
    p5, p4, p3 = (conv(3, f"p{level}_out")(x) for level, x in zip((5, 4, 3), sums, strict=True))
    p6 = conv(3, "p6_out", 2)(p5)
    p7 = conv(3, "p7_out", 2)(keras.layers.ReLU(name="p6_relu")(p6))
    return [p3, p4, p5, p6, p7]


def _tower(kind: str, width: int, convolutions: int, outputs: int, bias: float):
    common = {
        "kernel_size": 3,
        "padding": "same",
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.01),
        "data_format": "channels_last",
    }
    layers = [
        keras.layers.Conv2D(width, activation="relu", name=f"{kind}_conv{i}", **common)
        for i in range(1, convolutions + 1)
    ]
    start = keras.initializers.Constant(bias)
    return [*layers, keras.layers.Conv2D(outputs, bias_initializer=start, name=kind, **common)]
