"""The memory plan as a picture: bytes over steps, one bar a buffer."""

import os
from typing import Any

from micronet_mcu.files import replacing
from micronet_mcu.to_c.program import Program


def draw_plan(program: Program, path: str | os.PathLike | None = None) -> Any:
    """Draws the plan; returns the figure, and writes it as PNG where there is a path.

    Every buffer is a rectangle from its first to its last step, as high as it is large, at its
    place in the arena. Hatched are outputs that grow into a used-up input.

    Raises:
        UserError: the file cannot be written.
    """
    # Here and not above: a plan without its picture needs no matplotlib.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    plan = program.arena.plan
    steps = len(program.steps)
    figure = Figure(figsize=(min(6 + 0.1 * steps, 24), 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    growing = {out for out, _ in plan.lags}
    colours = ["#4c78a8", "#f58518", "#54a24b", "#b79a20", "#439894", "#e45756", "#9d755d"]
    for i, (offset, buffer) in enumerate(zip(plan.offsets, plan.buffers, strict=True)):
        bar = Rectangle(
            (buffer.first, offset), buffer.last - buffer.first + 1, buffer.size,
            facecolor="#bbbbbb" if buffer.scratch else colours[i % len(colours)], alpha=0.75,
            edgecolor="black", linewidth=0.4, hatch="///" if i in growing else None,
        )  # fmt: skip
        axes.add_patch(bar)
        if buffer.size > plan.size / 15:
            tilt = 90 if buffer.last - buffer.first < steps / 12 else 0
            middle = (buffer.first + buffer.last + 1) / 2, offset + buffer.size / 2
            text = f"{buffer.name}\n{buffer.size}"
            axes.annotate(text, middle, ha="center", va="center", fontsize=6, rotation=tilt)
    axes.axhline(plan.size, color="black", linewidth=0.8, linestyle="--")
    axes.set_xlim(0, steps + 1)
    axes.set_ylim(0, plan.size * 1.04)
    axes.set_xlabel("step")
    axes.set_ylabel("bytes of the arena")
    axes.set_title(f"{program.origin}: {plan.size} bytes of SRAM, {steps} steps")
    if path is not None:
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=110)
    return figure
