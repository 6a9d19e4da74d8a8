"""What follows a backbone in a detector: a feature pyramid, then scores and boxes on its levels."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import keras

from micronet_keras import checks
from micronet_keras.boxes import AnchorCoder, Coder, PointCoder
from micronet_keras.layers import ChannelShuffle, MicroBlockA, MicroFactorizedPointwiseConv2D
from micronet_keras.models.features import feature_maps

# RetinaNet's prior: at first every place says 1 % for every class, or the many empty places would
# drown the few with an object.
_PRIOR = -math.log((1 - 0.01) / 0.01)
_STRIDES = (4, 8, 16, 32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LightHead:
    """A head for microcontrollers: anchor-free, of micro-factorized convolutions.

    Backbone taps are brought to `width` channels by a grouped 1 x 1 convolution and added from the
    coarsest (stride 32) to the finest by bilinear upsampling. On every level `blocks` times a
    Micro-Block-A follows, then a 1 x 1 convolution for the scores and one for the boxes.

    Why anchor-free, in the manner of FCOS: one box for a place instead of nine is a ninth of the
    outputs to compute, to keep in the arena and to sort on the device; there are no anchor sizes to
    be fitted to a dataset; and distances in strides keep an int8 step a small, equal part of a
    stride (see `PointCoder`). Two levels instead of one heatmap, so that a large object is near
    enough to its place and two objects with one centre can both be found. Why ReLU6 in the blocks
    and not DY-ShiftMax: on a Cortex-M the latter takes more instructions than the convolutions.

    Attributes:
        strides: of the levels that predict, out of 4, 8, 16, 32, rising by factors of 2.
        width: channels of the head, divisible by 8.
        blocks: Micro-Block-As on each level, 0 or more.
        kernel_size: of their depthwise convolutions, odd.

    Raises:
        ValueError: an attribute is out of range.
    """

    coder: ClassVar[type[Coder]] = PointCoder

    strides: tuple[int, ...] = (8, 16)
    width: int = 48
    blocks: int = 2
    kernel_size: int = 5

    def __post_init__(self):
        if checks.positive_int("width", self.width) % 8:
            raise ValueError(f"`width` must be divisible by 8. Received: width={self.width}")
        strides = tuple(self.strides)
        if strides not in [_STRIDES[i:j] for i in range(4) for j in range(i + 1, 5)]:
            raise ValueError(f"`strides` must be a run out of 4, 8, 16, 32. Received: {strides=}")
        object.__setattr__(self, "strides", strides)
        checks.not_negative_int("blocks", self.blocks)
        checks.odd_int("kernel_size", self.kernel_size)

    def outputs(self, backbone: keras.Model, classes: int, dtype) -> list[keras.KerasTensor]:
        """Two tensors for each level, finest first.

        Class logits [batch, h, w, classes] and raw boxes [batch, h, w, 4], see `PointCoder`, of
        layers that are named "p3_scores", "p3_boxes", ...
        """
        down_to = [stride for stride in _STRIDES if stride >= self.strides[0]]
        found: list[keras.KerasTensor] = []
        above = None
        for stride, x in reversed(list(zip(down_to, feature_maps(backbone, down_to), strict=True))):
            level = f"p{stride.bit_length() - 1}"
            groups = math.gcd(4, x.shape[-1])
            x = MicroFactorizedPointwiseConv2D(
                self.width, groups, dtype=dtype, name=f"{level}_lateral"
            )(x)
            x = ChannelShuffle(groups, dtype=dtype, name=f"{level}_lateral_shuffle")(x)
            if above is not None:
                up = _upsampled(above, level, dtype)
                x = keras.layers.Add(dtype=dtype, name=f"{level}_sum")([x, up])
            above = x
            if stride in self.strides:
                found = [*self._predictions(x, classes, level, dtype), *found]
        return found

    def _predictions(self, x, classes: int, level: str, dtype) -> list[keras.KerasTensor]:
        for i in range(1, self.blocks + 1):
            x = MicroBlockA(
                self.width,
                self.kernel_size,
                multipliers=(2, 2),
                hidden_groups=8,
                squeeze_groups=8,
                output_groups=8,
                depthwise_branches=0,
                squeeze_branches=0,
                dtype=dtype,
                name=f"{level}_block{i}",
            )(x)
        # A first guess of two strides to every side.
        starts = {"scores": (classes, _PRIOR), "boxes": (4, math.log(math.expm1(2.0)))}
        return [
            keras.layers.Conv2D(
                filters,
                1,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                bias_initializer=keras.initializers.Constant(bias),
                data_format="channels_last",
                dtype=dtype,
                name=f"{level}_{kind}",
            )(x)
            for kind, (filters, bias) in starts.items()
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetinaNetHead:
    """RetinaNet with a feature pyramid network, the head of the paper's COCO table.

    P3 to P5 from the backbone's strides 8, 16, 32 (1 x 1 lateral, top-down sums of upsampled
    maps, 3 x 3 on each), P6 and P7 by strided 3 x 3 convolutions; two towers of 3 x 3
    convolutions with ReLU, shared by the levels, for scores and boxes of nine anchors a place.
    Source: Lin et al., ICCV 2017; P6 from P5 as in the detection frameworks' default.

    Its towers are shared between levels and cost a hundred times the backbone: it is for comparing
    backbones, and cannot be lowered to a microcontroller (`LightHead` can).

    Attributes:
        width: channels of the pyramid and the towers.
        convolutions: 3 x 3 convolutions of each tower before its last, 0 or more.

    Raises:
        ValueError: an attribute is out of range.
    """

    coder: ClassVar[type[Coder]] = AnchorCoder

    width: int = 256
    convolutions: int = 4

    def __post_init__(self):
        checks.positive_int("width", self.width)
        checks.not_negative_int("convolutions", self.convolutions)

    def outputs(self, backbone: keras.Model, classes: int, dtype) -> list[keras.KerasTensor]:
        """Two tensors for each of P3 ... P7.

        Class logits [batch, h, w, 9 * classes] and raw boxes [batch, h, w, 9 * 4], see
        `AnchorCoder`, of layers that are named "p3_scores", "p3_boxes", ...
        """
        taps = feature_maps(backbone, (8, 16, 32))
        if min(backbone.input_shape[1:3]) < 128:
            raise ValueError(
                "RetinaNet's P7 needs images of at least 128 x 128. "
                f"Received: {backbone.name!r} with images {tuple(backbone.input_shape[1:3])}"
            )
        boxes_a_place = self.coder.per_place
        towers = {
            "scores": self._tower("scores", boxes_a_place * classes, _PRIOR, dtype),
            "boxes": self._tower("boxes", boxes_a_place * 4, 0.0, dtype),
        }
        found = []
        for number, x in enumerate(self._pyramid(taps, dtype), start=3):
            for kind, tower in towers.items():
                y = x
                for layer in tower:
                    y = layer(y)
                found.append(keras.layers.Identity(dtype=dtype, name=f"p{number}_{kind}")(y))
        return found

    def _pyramid(self, taps, dtype) -> list[keras.KerasTensor]:
        def conv(kernel_size, name, strides=1):
            return keras.layers.Conv2D(
                self.width,
                kernel_size,
                strides,
                "same",
                data_format="channels_last",
                dtype=dtype,
                name=name,
            )

        sums: list[keras.KerasTensor] = []
        for level, tap in zip((5, 4, 3), reversed(taps), strict=True):
            x = conv(1, f"p{level}_lateral")(tap)
            if sums:
                up = _upsampled(sums[-1], f"p{level}", dtype)
                x = keras.layers.Add(dtype=dtype, name=f"p{level}_sum")([x, up])
            sums.append(x)
        p5, p4, p3 = (conv(3, f"p{level}_out")(x) for level, x in zip((5, 4, 3), sums, strict=True))
        p6 = conv(3, "p6_out", 2)(p5)
        p7 = conv(3, "p7_out", 2)(keras.layers.ReLU(dtype=dtype, name="p6_relu")(p6))
        return [p3, p4, p5, p6, p7]

    def _tower(self, kind: str, outputs: int, bias: float, dtype) -> list[keras.layers.Layer]:
        common = {
            "kernel_size": 3,
            "padding": "same",
            "kernel_initializer": keras.initializers.RandomNormal(stddev=0.01),
            "data_format": "channels_last",
            "dtype": dtype,
        }
        layers = [
            keras.layers.Conv2D(self.width, activation="relu", name=f"{kind}_conv{i}", **common)
            for i in range(1, self.convolutions + 1)
        ]
        start = keras.initializers.Constant(bias)
        return [*layers, keras.layers.Conv2D(outputs, bias_initializer=start, name=kind, **common)]


DETECTION_HEADS: dict[str, type[LightHead] | type[RetinaNetHead]] = {
    "light": LightHead,
    "retinanet": RetinaNetHead,
}


def _upsampled(x, level: str, dtype):
    """Twice the height and width. Bilinear: the one kind of resizing that is lowered."""
    return keras.layers.UpSampling2D(
        2, data_format="channels_last", interpolation="bilinear", dtype=dtype, name=f"{level}_up"
    )(x)
