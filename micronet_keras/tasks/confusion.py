"""Pictures of what a classifier answers."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from micronet_mcu.files import replacing


def plot_confusion(
    path: str | os.PathLike | None, title: str, *, counts: np.ndarray, class_names: Sequence[str]
) -> Figure:
    """Draws a confusion matrix.

    Args:
        path: where the picture goes, as PNG; None writes none.
        title: the line above.
        counts: [true class, predicted class], as `confusion_matrix` counts.
        class_names: names of the classes; beyond 30 classes only the colours are drawn.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UserError: the file cannot be written.
    """
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(4 + 0.45 * classes, 16)
    figure = Figure(figsize=(side + 1, side), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    if classes <= 30:
        axes.set_xticks(range(classes), class_names, rotation=45, ha="right")
        axes.set_yticks(range(classes), class_names)
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=colour)
    if path is not None:
        with replacing(path) as temporary:
            figure.savefig(temporary)
    return figure
