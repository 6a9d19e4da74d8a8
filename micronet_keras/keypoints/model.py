"""The heatmap model: a MicroNet, then bilinear upsampling and micro-blocks up to stride 4."""

import dataclasses

import keras

from micronet_keras.keypoints.skeleton import KEYPOINT_COUNT
from micronet_keras.layers import MicroBlockA, MicroFactorizedPointwiseConv2D
from micronet_keras.models import pyramid_outputs

HEATMAP_STRIDE = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The part of the model after the backbone.

    Four stages, at strides 32, 16, 8 and 4, of Micro-Block-A; bilinear upsampling between them.
    Micro-Block-A widens inside itself only: what is upsampled, and added to, is narrow.

    Attributes:
        widths: channels of the stages.
        groups: groups of the pointwise convolutions of the stages; each divides its width.
        blocks: Micro-Blocks of the stages, each number at least 1.
        multipliers: (c1, c2) of the depthwise convolutions: a block is c1 * c2 times as wide
            inside.
        branches: of the DY-ShiftMax in the blocks of the stages; 0 is ReLU6, far cheaper.
        kernel_size: of the depthwise convolutions, odd.
        skips: whether the backbone's features of the same stride are added after upsampling.

    Raises:
        ValueError: not four stages, or a number is out of its range.
    """

    widths: tuple[int, int, int, int]
    groups: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    branches: tuple[int, int, int, int] = (2, 2, 2, 2)
    multipliers: tuple[int, int] = (2, 3)
    kernel_size: int = 5
    skips: bool = True

    def __post_init__(self):
        for name, least in (("widths", 1), ("groups", 1), ("blocks", 1), ("branches", 0)):
            value = getattr(self, name)
            if len(value) != 4 or min(value) < least:
                raise ValueError(
                    f"`{name}` must be four whole numbers from {least}. Received: {value}"
                )
        for width, groups in zip(self.widths, self.groups, strict=True):
            if width % groups or width % 2:
                raise ValueError(
                    "`widths` must be even and divisible by their groups. "
                    f"Received: widths={self.widths}, groups={self.groups}"
                )


# The widths are ours, chosen so that M3 comes to the multiply-adds that the paper counts (163.2M at
# 256 x 192); M0 to M2 go down with their backbones.
HEADS: dict[str, HeadConfig] = {
    "m0": HeadConfig(widths=(64, 48, 32, 32), groups=(4, 4, 4, 4), branches=(2, 2, 2, 0)),
    "m1": HeadConfig(widths=(96, 64, 48, 32), groups=(8, 8, 4, 4), branches=(2, 2, 2, 0)),
    "m2": HeadConfig(widths=(144, 96, 80, 64), groups=(8, 8, 8, 8), blocks=(1, 1, 1, 2)),
    "m3": HeadConfig(widths=(160, 136, 120, 96), groups=(8, 8, 8, 8), blocks=(1, 1, 2, 2)),
}


def KeypointModel(  # noqa: N802 (a builder, as those of the backbones)
    backbone: keras.Model,
    head: HeadConfig,
    keypoints: int = KEYPOINT_COUNT,
    name: str | None = None,
) -> keras.Model:
    """Builds the model that turns a crop of one person into a heatmap for each keypoint.

    Source: the paper's experiment on keypoint detection, where a MicroNet is followed by stages of
    bilinear upsampling and micro-blocks up to a quarter of the crop.

    Args:
        backbone: `MicroNetM0` ... `MicroNetM3` with `include_top=False`, with or without weights;
            its sides are multiples of 32.
        head: e.g. `HEADS["m0"]`.
        keypoints: number of heatmaps.
        name: of the model; the backbone's with "_keypoints" when None.

    Returns:
        A functional model: float [B, height, width, 3] as `preprocess_input` makes it -> float
        [B, height / 4, width / 4, keypoints], peaks of height about 1.

    Raises:
        ValueError: the backbone has a classifier, is no MicroNet, or its image size does not fit.

    Example:

    >>> backbone = MicroNetM0(input_shape=(128, 96, 3), include_top=False)
    >>> KeypointModel(backbone, HEADS["m0"]).output_shape
    (None, 32, 24, 17)
    """
    shape = backbone.input_shape[1:]
    if any(side is None or side % 32 for side in shape[:2]):
        raise ValueError(
            f"The sides of the crop must be multiples of 32. Received: input_shape={shape}"
        )
    levels = pyramid_outputs(backbone)
    if len(backbone.output_shape) != 4 or list(levels) != ["P2", "P3", "P4", "P5"]:
        raise ValueError(
            "The backbone must end at stride 32, with include_top=False and without pooling. "
            f"Received: {backbone.name} with output {backbone.output_shape}"
        )
    x = backbone.output
    for stage, width in enumerate(head.widths):
        if stage:
            x = keras.layers.UpSampling2D(
                2,
                data_format="channels_last",
                interpolation="bilinear",
                name=f"upsample{stage}",
            )(x)
            if head.skips:
                skip = MicroFactorizedPointwiseConv2D(x.shape[-1], name=f"skip{stage}")
                x = keras.layers.Add(name=f"add{stage}")([x, skip(levels[f"P{5 - stage}"])])
        for index in range(head.blocks[stage]):
            x = MicroBlockA(
                width,
                head.kernel_size,
                # The backbone ends in an expansion: its output is wide already.
                multipliers=(1, 1) if stage == index == 0 else head.multipliers,
                hidden_groups=head.groups[stage],
                squeeze_groups=head.groups[stage],
                output_groups=head.groups[stage],
                depthwise_branches=head.branches[stage],
                squeeze_branches=0,
                name=f"head{stage}_{index}",
            )(x)
    initializer = keras.initializers.RandomNormal(stddev=0.001)
    x = keras.layers.Conv2D(
        keypoints,
        1,
        kernel_initializer=initializer,
        data_format="channels_last",
        name="heatmaps",
    )(x)
    return keras.Model(backbone.input, x, name=name or f"{backbone.name}_keypoints")
