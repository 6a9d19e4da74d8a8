"""Heatmaps to coordinates, with the same integers in numpy as in C (`tflm/keypoints`).

Coordinates are continuous: cell (row, column) of a heatmap covers row .. row + 1 and column ..
column + 1, so its centre is at + 0.5, and multiplying by the stride gives pixels of the crop.
"""

from __future__ import annotations

import numpy as np

# Steps of a coordinate between two cells, and of one in the table of logarithms.
STEPS = 256
_LOG_STEPS = 4096
# 4 * 255 is the largest value of a profile; index 0 stands for values below 1.
LOG_TABLE = np.round(_LOG_STEPS * np.log(np.maximum(np.arange(1021), 1))).astype(np.int32)
# In float heatmaps, whose peaks are about 1: what one step of int8 is worth.
_FLOAT_FLOOR = 1 / 256


def decode(heatmaps: np.ndarray) -> np.ndarray:
    """Finds every heatmap's peak, between the cells (unbiased, as DARK does).

    The cell with the largest value is refined along each axis: a Gaussian is a parabola in
    logarithms, so the top of the parabola through three cells is the Gaussian's centre. The three
    values are sums over the neighbours across (1 2 1), which leaves a Gaussian as it is and noise
    smaller. No refinement at the border of the map, and half a cell at most. Source: Zhang et al.,
    "Distribution-aware coordinate representation for human pose estimation" (CVPR 2020).

    Args:
        heatmaps: float [n, height, width, keypoints].

    Returns:
        float32 [n, keypoints, 3]: x and y in cells from the left and upper edge of the map, and the
        value of the peak.

    Example:

    >>> heatmaps = np.zeros((1, 4, 4, 1)); heatmaps[0, 2, 1, 0] = 1
    >>> decode(heatmaps).tolist()
    [[[1.5, 2.5, 1.0]]]
    """
    maps = np.moveaxis(np.asarray(heatmaps, np.float32), 3, 1)
    row, column, peak = _peaks(maps)
    positive = np.maximum(maps, 0)

    def offset(profile: np.ndarray) -> np.ndarray:
        low, middle, high = np.log(np.maximum(profile, _FLOAT_FLOOR))
        bend = 2 * middle - low - high
        shift = (high - low) / np.where(bend > 0, 2 * bend, np.inf)
        return np.clip(shift, -0.5, 0.5)

    x = column + 0.5 + _inside(column, maps.shape[3]) * offset(_profile(positive, row, column, 0))
    y = row + 0.5 + _inside(row, maps.shape[2]) * offset(_profile(positive, row, column, 1))
    return np.stack([x, y, peak], axis=-1).astype(np.float32)


def decode_int8(heatmaps: np.ndarray, zero_point: int) -> np.ndarray:
    """`decode` in whole numbers, bit for bit what `micronet_decode_keypoints` does in C.

    Args:
        heatmaps: int8 [n, height, width, keypoints], as the flatbuffer puts them out.
        zero_point: of that output, -128 to 127; it stands for 0.

    Returns:
        int32 [n, keypoints, 3]: x and y in 1/256 cells, and the peak minus the zero point (times
        the output's scale it is the score).

    Raises:
        ValueError: `heatmaps` is not int8 of rank 4, or has no cells.
    """
    if heatmaps.dtype != np.int8 or heatmaps.ndim != 4 or 0 in heatmaps.shape[1:3]:
        raise ValueError(
            "heatmaps must be int8 [n, height, width, keypoints]. "
            f"Received: {heatmaps.dtype} {heatmaps.shape}"
        )
    maps = np.moveaxis(heatmaps.astype(np.int32) - zero_point, 3, 1)
    row, column, peak = _peaks(maps)
    positive = np.maximum(maps, 0)

    def offset(profile: np.ndarray) -> np.ndarray:
        low, middle, high = LOG_TABLE[profile]
        bend = np.maximum(2 * middle - low - high, 0)
        # Rounded half up.
        shift = (STEPS * (high - low) + bend) // np.maximum(2 * bend, 1)
        return np.where(bend > 0, np.clip(shift, -STEPS // 2, STEPS // 2), 0)

    half = STEPS // 2
    x = column * STEPS + half
    x = x + _inside(column, maps.shape[3]) * offset(_profile(positive, row, column, 0))
    y = row * STEPS + half
    y = y + _inside(row, maps.shape[2]) * offset(_profile(positive, row, column, 1))
    return np.stack([x, y, peak], axis=-1).astype(np.int32)


def _peaks(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and value of the largest cell, the first of equal ones; each [n, keypoints]."""
    flat = maps.reshape(*maps.shape[:2], -1)
    place = flat.argmax(axis=-1)
    peak = np.take_along_axis(flat, place[..., None], axis=-1)[..., 0]
    return place // maps.shape[3], place % maps.shape[3], peak


def _inside(position: np.ndarray, length: int) -> np.ndarray:
    return (position > 0) & (position < length - 1)


def _profile(maps: np.ndarray, row: np.ndarray, column: np.ndarray, axis: int) -> np.ndarray:
    """Sums across (weights 1 2 1) before, at and after the peak, along x (axis 0) or y (1)."""
    n, keypoints = np.indices(row.shape)

    def cell(along: int, across: int) -> np.ndarray:
        down, right = (across, along) if axis == 0 else (along, across)
        rows = np.clip(row + down, 0, maps.shape[2] - 1)
        columns = np.clip(column + right, 0, maps.shape[3] - 1)
        return maps[n, keypoints, rows, columns]

    return np.stack([cell(i, -1) + 2 * cell(i, 0) + cell(i, 1) for i in (-1, 0, 1)])
