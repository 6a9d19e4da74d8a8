"""Counts the keypoint models: multiply-adds and parameters, beside the paper's figures.

MicroNet-M0 .. M3 with their heads, and MobileNetV3-Small with inverted residual blocks. The paper
compares M3 (163.2M) with the latter (726.9M) at 256 x 192.

Example:

  micronet count-keypoint-models --height=128 --width=96
"""

from absl import flags

from micronet_cli import script
from micronet_mcu.errors import UserError

_HEIGHT = flags.DEFINE_integer("height", 256, "of the crop in pixels, a multiple of 32")
_WIDTH = flags.DEFINE_integer("width", 192, "of the crop in pixels, a multiple of 32")


def main(argv: list[str]) -> None:
    del argv
    shape = (_HEIGHT.value, _WIDTH.value, 3)
    if min(shape[:2]) < 32 or any(side % 32 for side in shape[:2]):
        raise UserError(f"--height and --width must be multiples of 32, not {shape[0]}, {shape[1]}")
    from micronet_keras.benchmark.keypoint_baseline import MobileNetV3SmallKeypoints
    from micronet_keras.models import MicroNetPoseEstimator
    from micronet_keras.tasks import NETWORKS

    print(f"{'crop ' + str(shape[0]) + ' x ' + str(shape[1]):30} {'MAdds':>12} {'parameters':>11}")
    for name, build in NETWORKS.items():
        backbone = build(input_shape=shape, include_top=False)
        _print(f"{backbone.name}, backbone alone", backbone)
        _print(f"{backbone.name}, keypoints", MicroNetPoseEstimator(backbone, head=name))
    _print("MobileNetV3-Small, keypoints", MobileNetV3SmallKeypoints(shape))


def _print(label: str, model) -> None:
    from micronet_keras import models

    print(f"{label:30} {models.count_madds(model).total:12,} {model.count_params():11,}")


def run() -> None:
    """The console script."""
    script.run(main)
