"""RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops import move
from micronet_mcu.graph.ops.gather import Gather
from micronet_mcu.tflite.model import Tensor


def _check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    x, size = inputs
    demands.rank4(x, y)
    demands.demand(x.dtype == y.dtype, "mixes types")
    demands.constant_integers(size, "height and width")
    demands.demand(size.size == 2, "needs a height and a width")
    demands.gives(y, (x.shape[0], *(int(n) for n in size.data.ravel()), x.shape[3]))


def _read(operands: Operands) -> tuple[Node, ...]:
    ends, origin = operands.node(), operands.origin
    (x,), y = ends["inputs"], ends["output"]
    rows, columns = (_sources(operands, x.shape[axis], y.shape[axis]) for axis in (1, 2))
    _, height, width, _ = x.shape
    down, right = y.shape[1] // height, y.shape[2] // width
    if _is_repeated(rows, height) and _is_repeated(columns, width):
        shape = (x.shape[0], height, down, width, right, x.shape[3])
        return (
            move.made(move.Tile, origin, x, y,
                      lambda v: np.broadcast_to(v[:, :, None, :, None, :], shape)),
        )  # fmt: skip
    tall = replace(x, name=f"{x.name} rows", tensor=-1, data=None,
                   shape=(x.shape[0], y.shape[1], *x.shape[2:]))  # fmt: skip
    return (
        Gather((x,), tall, **origin, index=rows, axis=1),
        Gather((tall,), y, **origin, index=columns, axis=2),
    )


def _is_repeated(index: np.ndarray, size: int) -> bool:
    """Whether each of `size` entries is there equally often, in order."""
    times = len(index) // size
    return times > 0 and np.array_equal(index, np.repeat(np.arange(size), times))


def _sources(operands: Operands, before: int, after: int) -> np.ndarray:
    """The row or column of the input for each of the output, in single precision as TFLM does."""
    aligned = operands.options["align_corners"]
    centred = operands.options["half_pixel_centers"]
    corners = aligned and after > 1
    scale = np.float32(before - corners) / np.float32(after - corners)
    places = (np.arange(after, dtype=np.float32) + np.float32(0.5 if centred else 0)) * scale
    found = np.floor(places + np.float32(0.5)) if aligned else np.floor(places)
    return np.clip(found.astype(np.int64), 0, before - 1)


OP = Op("RESIZE_NEAREST_NEIGHBOR", "AddResizeNearestNeighbor", _check, (2, 2),
        "ResizeNearestNeighborOptions", _read)  # fmt: skip
