"""Pictures of predictions beside the ground truth."""

import os

from matplotlib.figure import Figure

from micronet_keras.keypoints.evaluate import Predictions
from micronet_keras.keypoints.model import HEATMAP_STRIDE
from micronet_keras.keypoints.skeleton import BONES, KEYPOINT_NAMES
from micronet_mcu.files import replacing

_COLUMNS = 4


def draw_predictions(
    predictions: Predictions, path: str | os.PathLike, people: int = 12, title: str = ""
) -> None:
    """Draws the first people twice, with their annotation (left) and the prediction (right).

    The person's left side is red, its right side blue. Labelled keypoints only, on both sides.

    Args:
        predictions: with crops.
        path: of the PNG file; replaced when it exists.
        people: how many to draw, at most.
        title: above the picture.

    Raises:
        UserError: the file cannot be written.
    """
    count = min(people, len(predictions.crops))
    rows = -(-count // _COLUMNS)
    height, width = predictions.crops.shape[1:3]
    figure = Figure(
        figsize=(3.6 * _COLUMNS, 1.8 * rows * height / width + 0.5), layout="constrained"
    )
    figure.suptitle(title)
    panels = figure.subplots(rows, 2 * _COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for i in range(count):
        truth, cells = predictions.targets[i], predictions.cells[i]
        for panel, points, name in (
            (panels[2 * i], truth, "truth"),
            (panels[2 * i + 1], cells, f"score {cells[:, 2].mean():.2f}"),
        ):
            panel.imshow(predictions.crops[i], extent=(0, width, height, 0))
            panel.set_title(name, fontsize=8)
            _draw_skeleton(panel, points[:, :2] * HEATMAP_STRIDE, truth[:, 2] > 0)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=80)


def _draw_skeleton(panel, points, labelled) -> None:
    for pair in BONES:
        if labelled[list(pair)].all():
            sides = {KEYPOINT_NAMES[i].split("_")[0] for i in pair}
            colour = "red" if sides == {"left"} else "blue" if sides == {"right"} else "yellow"
            panel.plot(*points[list(pair)].T, color=colour, linewidth=1.5)
    panel.plot(*points[labelled].T, ".", color="white", markersize=4, markeredgecolor="black")
