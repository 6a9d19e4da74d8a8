"""The pose estimator: a MicroNet, then bilinear upsampling and micro-blocks up to stride 4."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from micronet_keras import checks
from micronet_keras.layers import MicroBlockA, MicroFactorizedPointwiseConv2D
from micronet_keras.losses import HeatmapLoss
from micronet_keras.metrics import KeypointAccuracy
from micronet_keras.models.features import pyramid_outputs
from micronet_keras.models.task_model import TaskModel
from micronet_mcu.decode import keypoints as heatmaps

HEATMAP_STRIDE = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseHead:
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
            value = tuple(getattr(self, name))
            object.__setattr__(self, name, value)
            if len(value) != 4 or min(value) < least:
                raise ValueError(
                    f"`{name}` must be four whole numbers from {least}. Received: {value}"
                )
        object.__setattr__(self, "multipliers", checks.pair("multipliers", self.multipliers))
        for width, groups in zip(self.widths, self.groups, strict=True):
            if width % groups or width % 2:
                raise ValueError(
                    "`widths` must be even and divisible by their groups. "
                    f"Received: widths={self.widths}, groups={self.groups}"
                )

    def output(self, backbone: keras.Model, dtype) -> keras.KerasTensor:
        """Features of stride 4, float [batch, height / 4, width / 4, widths[3]]."""
        levels = pyramid_outputs(backbone)
        x = backbone.output
        for stage, width in enumerate(self.widths):
            if stage:
                x = keras.layers.UpSampling2D(
                    2,
                    data_format="channels_last",
                    interpolation="bilinear",
                    dtype=dtype,
                    name=f"upsample{stage}",
                )(x)
                if self.skips:
                    skip = MicroFactorizedPointwiseConv2D(
                        x.shape[-1], dtype=dtype, name=f"skip{stage}"
                    )
                    skipped = skip(levels[f"P{5 - stage}"])
                    x = keras.layers.Add(dtype=dtype, name=f"add{stage}")([x, skipped])
            for index in range(self.blocks[stage]):
                x = MicroBlockA(
                    width,
                    self.kernel_size,
                    # The backbone ends in an expansion: its output is wide already.
                    multipliers=(1, 1) if stage == index == 0 else self.multipliers,
                    hidden_groups=self.groups[stage],
                    squeeze_groups=self.groups[stage],
                    output_groups=self.groups[stage],
                    depthwise_branches=self.branches[stage],
                    squeeze_branches=0,
                    dtype=dtype,
                    name=f"head{stage}_{index}",
                )(x)
        return x


# The widths are ours, chosen so that M3 comes to the multiply-adds that the paper counts (163.2M at
# 256 x 192); M0 to M2 go down with their backbones.
POSE_HEADS: dict[str, PoseHead] = {
    "m0": PoseHead(widths=(64, 48, 32, 32), groups=(4, 4, 4, 4), branches=(2, 2, 2, 0)),
    "m1": PoseHead(widths=(96, 64, 48, 32), groups=(8, 8, 4, 4), branches=(2, 2, 2, 0)),
    "m2": PoseHead(widths=(144, 96, 80, 64), groups=(8, 8, 8, 8), blocks=(1, 1, 1, 2)),
    "m3": PoseHead(widths=(160, 136, 120, 96), groups=(8, 8, 8, 8), blocks=(1, 1, 2, 2)),
}


@keras.saving.register_keras_serializable("micronet_keras")
class MicroNetPoseEstimator(TaskModel):
    """Finds the keypoints of the person in a crop, by a heatmap for each.

    Works as every Keras model does. `fit` and `evaluate` take as y float32 [batch, keypoints, 3]:
    x and y in cells of the heatmaps (pixels of the crop / 4) from its left and upper edge, and a
    weight, 0 for a keypoint that is not seen. `compile` has defaults: Adam, `HeatmapLoss` and
    `KeypointAccuracy`. Called, it gives the heatmaps, float [batch, height / 4, width / 4,
    keypoints], peaks of height about 1; `predict` decodes them.

    Source: the paper's experiment on keypoint detection, where a MicroNet is followed by stages of
    bilinear upsampling and micro-blocks up to a quarter of the crop.

    Args:
        backbone: `MicroNetM0` ... `MicroNetM3` with `include_top=False`, with or without weights;
            its sides are multiples of 32.
        head: the name of one of `POSE_HEADS` ("m0" ... "m3", for the backbone of this name) or a
            `PoseHead`.
        keypoints: number of heatmaps; COCO's persons have 17.
        name: of the model; the backbone's with "_keypoints" unless given.
        dtype: policy of the head's layers; the global one unless given.

    Input: what `preprocess_input` returns, float [batch, height, width, 3].

    Attributes:
        keypoints: number of keypoints.

    Raises:
        ValueError: the backbone has a classifier, is no MicroNet, or its image size does not fit;
            there is no such head.

    Example:

    >>> import micronet_keras
    >>> backbone = micronet_keras.MicroNetM0(input_shape=(64, 32, 3), include_top=False)
    >>> estimator = MicroNetPoseEstimator(backbone, keypoints=5)
    >>> estimator.output_shape
    (None, 16, 8, 5)
    >>> estimator.predict(np.zeros((2, 64, 32, 3), "float32"), verbose=0).shape
    (2, 5, 3)
    """

    def __init__(
        self,
        backbone: keras.Model,
        head: str | PoseHead = "m0",
        keypoints: int = 17,
        *,
        name: str | None = None,
        dtype=None,
    ):
        checks.positive_int("keypoints", keypoints)
        if isinstance(head, str) and head not in POSE_HEADS:
            raise ValueError(f"`head` must be one of {tuple(POSE_HEADS)}. Received: {head!r}")
        head = POSE_HEADS[head] if isinstance(head, str) else head
        _check_backbone(backbone)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy()).name
        maps = keras.layers.Conv2D(
            keypoints,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            data_format="channels_last",
            dtype=policy,
            name="heatmaps",
        )(head.output(backbone, policy))
        super().__init__(backbone, maps, name or f"{backbone.name}_keypoints")
        self.keypoints = keypoints
        self._arguments = {
            "head": dataclasses.asdict(head),
            "keypoints": keypoints,
            "dtype": policy,
        }

    def default_loss(self) -> HeatmapLoss:
        return HeatmapLoss()

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [KeypointAccuracy()]

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None) -> np.ndarray:
        """The keypoints of the person in each crop.

        Args:
            x, batch_size, verbose, steps, callbacks: as of ``keras.Model.predict``.

        Returns:
            float32 [n, keypoints, 3]: x and y in pixels of the crop, and the value of the heatmap's
            peak, which says how sure it is.
        """
        maps = super().predict(x, batch_size, verbose, steps, callbacks)
        return heatmaps.decode(maps) * np.array([HEATMAP_STRIDE, HEATMAP_STRIDE, 1], np.float32)

    def get_config(self):
        return {**super().get_config(), **self._arguments}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return super().from_config({**config, "head": PoseHead(**config["head"])}, custom_objects)


def _check_backbone(backbone: keras.Model) -> None:
    shape = backbone.input_shape[1:]
    if any(side is None or side % 32 for side in shape[:2]):
        raise ValueError(
            f"The sides of the crop must be multiples of 32. Received: input_shape={shape}"
        )
    levels = list(pyramid_outputs(backbone))
    if len(backbone.output_shape) != 4 or levels != ["P2", "P3", "P4", "P5"]:
        raise ValueError(
            "The backbone must end at stride 32, with include_top=False and without pooling. "
            f"Received: {backbone.name} with output {backbone.output_shape}"
        )
