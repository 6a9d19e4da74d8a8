"""Passes: pure functions from a graph to a graph that computes the same.

`fuse_dy_shift_max` alone changes results, within the rounding that it saves.
"""

from collections.abc import Callable, Sequence

from micronet_mcu.graph.graph import Graph
from micronet_mcu.graph.passes.dy_shift_max import fuse_dy_shift_max
from micronet_mcu.graph.passes.ends import bare_ends
from micronet_mcu.graph.passes.gathers import fold_gathers
from micronet_mcu.graph.passes.pads import fold_pads
from micronet_mcu.graph.passes.reshapes import remove_reshapes
from micronet_mcu.graph.passes.slices import view_slices
from micronet_mcu.graph.passes.zero_taps import cut_zero_taps

Pass = Callable[[Graph], Graph]

# Gathers come after DY-ShiftMax, which is recognised by its own; slices see `view_slices`.
EXACT: tuple[Pass, ...] = (
    remove_reshapes, fold_pads, cut_zero_taps, fold_gathers, view_slices,
)  # fmt: skip
FUSING: tuple[Pass, ...] = (
    remove_reshapes, fold_pads, cut_zero_taps, fuse_dy_shift_max, fold_gathers, view_slices,
)  # fmt: skip

__all__ = [
    "EXACT",
    "FUSING",
    "Pass",
    "bare_ends",
    "cut_zero_taps",
    "fold_gathers",
    "fold_pads",
    "fuse_dy_shift_max",
    "remove_reshapes",
    "run",
    "view_slices",
]


def run(graph: Graph, passes: Sequence[Pass]) -> Graph:
    """One pass after the other."""
    for one in passes:
        graph = one(graph)
    return graph
