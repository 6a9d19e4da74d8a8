"""The training curve as a picture."""

import os
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from micronet_mcu.files import replacing


def plot_history(
    history: Sequence[dict],
    path: str | os.PathLike | None = None,
    title: str = "",
    metric: str = "accuracy",
) -> Figure:
    """Draws loss and metric over the epochs, the best epoch marked.

    Args:
        history: one row per epoch with `epoch`, `loss`, the metric, and both with `val_` in front,
            as `train_classifier` returns them.
        path: of a PNG file; replaced when it exists. None writes none.
        title: shown above the panels.
        metric: name of a share from 0 to 1, higher is better.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UserError: the file cannot be written.
    """
    epochs = [row["epoch"] for row in history]
    best = max(history, key=lambda row: row[f"val_{metric}"])
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    loss_panel, metric_panel = figure.subplots(1, 2)
    marker = "o" if len(epochs) <= 40 else None
    for panel, name, scale, label, corner in (
        (loss_panel, "loss", 1, "loss", "upper right"),
        (metric_panel, metric, 100, f"{metric.replace('_', ' ')} (%)", "lower right"),
    ):
        for column, legend, colour in (
            (name, "training", "tab:blue"),
            (f"val_{name}", "validation", "tab:orange"),
        ):
            values = [scale * row[column] for row in history]
            panel.plot(epochs, values, marker=marker, markersize=3, color=colour, label=legend)
        note = f"best epoch: {best['epoch']}, validation {best[f'val_{name}'] * scale:.4g}"
        panel.axvline(best["epoch"], color="tab:green", linestyle=":", label=note)
        panel.set(xlabel="epoch", ylabel=label)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
        panel.legend(loc=corner)
    if path is not None:
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=120)
    return figure
