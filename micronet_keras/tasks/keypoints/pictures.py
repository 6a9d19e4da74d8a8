"""Pictures of predictions beside the ground truth."""

import os

import numpy as np
from matplotlib.figure import Figure

from micronet_keras.data.skeleton import Skeleton
from micronet_keras.models import HEATMAP_STRIDE
from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON
from micronet_mcu.files import replacing

_COLUMNS = 4


def draw_predictions(
    path: str | os.PathLike,
    title: str,
    *,
    crops: np.ndarray,
    truth: np.ndarray,
    found: np.ndarray,
    skeleton: Skeleton = COCO_PERSON,
) -> None:
    """Draws people twice, with their annotation (left) and the prediction (right), into a PNG.

    The person's left side is red, its right side blue. Labelled keypoints only, on both sides.

    Args:
        path: of the PNG file; replaced when it exists.
        title: above the picture.
        crops: uint8 [n, height, width, 3], at least one.
        truth: float [n or more, keypoints, 3], x and y in heatmap cells, weight.
        found: float [n or more, keypoints, 3], x and y in heatmap cells, score.
        skeleton: the keypoints.

    Raises:
        UserError: the file cannot be written.
    """
    count = len(crops)
    rows = -(-count // _COLUMNS)
    height, width = crops.shape[1:3]
    figure = Figure(
        figsize=(3.6 * _COLUMNS, 1.8 * rows * height / width + 0.5), layout="constrained"
    )
    figure.suptitle(title)
    panels = figure.subplots(rows, 2 * _COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for i in range(count):
        for panel, points, name in (
            (panels[2 * i], truth[i], "truth"),
            (panels[2 * i + 1], found[i], f"score {found[i, :, 2].mean():.2f}"),
        ):
            panel.imshow(crops[i], extent=(0, width, height, 0))
            panel.set_title(name, fontsize=8)
            _draw(panel, skeleton, points[:, :2] * HEATMAP_STRIDE, truth[i, :, 2] > 0)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=80)


def _draw(panel, skeleton: Skeleton, points, labelled) -> None:
    for pair in skeleton.bones:
        if labelled[list(pair)].all():
            sides = {_side(skeleton.names[i]) for i in pair}
            colour = "red" if sides == {"left"} else "blue" if sides == {"right"} else "yellow"
            panel.plot(*points[list(pair)].T, color=colour, linewidth=1.5)
    panel.plot(*points[labelled].T, ".", color="white", markersize=4, markeredgecolor="black")


def _side(name: str) -> str:
    return next((side for side in ("left", "right") if side in name.casefold()), "")
