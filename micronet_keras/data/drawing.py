"""Drawing in numpy with the same result everywhere: random numbers and signed distances.

Every pixel comes from additions, multiplications, divisions, comparisons and square roots, which
IEEE 754 rounds in one way only. Sines and cosines differ in the last bit between machines, so they
are taken at whole degrees and rounded; `numpy.random.Generator` may change its methods between
versions, so only the raw bits of PCG64 are used, which numpy promises to keep.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Points = Sequence[tuple[float, float]]


class RandomStream:
    """Random numbers that are a pure function of the integers in `key`."""

    def __init__(self, *key: int):
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        return low + (high - low) * ((self._bits.random_raw() >> 11) * 2.0**-53)

    def integer(self, low: int, high: int) -> int:
        """A whole number in low..high, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def pixels(self, *shape: int) -> np.ndarray:
        """Independent numbers in [0, 1), float32, 16 random bits each."""
        count = math.prod(shape)
        raw = self._bits.random_raw(-(-count // 4)).astype("<u8")
        return (raw.view("<u2")[:count].astype(np.float32) * np.float32(2.0**-16)).reshape(shape)


def direction(degrees: int) -> tuple[float, float]:
    """(cos, sin) of whole degrees, the same on every machine."""
    angle = math.radians(degrees % 360)
    return round(math.cos(angle), 9), round(math.sin(angle), 9)


def rotated(x, y, degrees: int):
    """(x, y) turned by whole degrees, clockwise on the screen (y points down)."""
    cos, sin = direction(degrees)
    return x * cos - y * sin, x * sin + y * cos


# Signed distances: negative inside, positive outside, in the unit of the coordinates x and y.


def circle(x, y, radius: float, centre: tuple[float, float] = (0.0, 0.0)):
    dx, dy = x - centre[0], y - centre[1]
    return np.sqrt(dx * dx + dy * dy) - radius


def capsule(x, y, start: tuple[float, float], end: tuple[float, float], radius: float):
    """A line from `start` to `end` with round ends, 2 * radius thick."""
    return _distance_to_segment(x, y, start, end) - radius


def polygon(x, y, points: Points):
    """A simple polygon (convex or not)."""
    nearest: Any = np.float32(np.inf)
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        distance = _distance_to_segment(x, y, (ax, ay), (bx, by))
        nearest = np.minimum(nearest, distance)
        if ay != by:
            # A ray to the right crosses the boundary an odd number of times from inside.
            left_of_edge = x < ax + (y - ay) * ((bx - ax) / (by - ay))
            inside ^= ((y < ay) != (y < by)) & left_of_edge
    return np.where(inside, -nearest, nearest)


def _distance_to_segment(x, y, start, end):
    ex, ey = end[0] - start[0], end[1] - start[1]
    dx, dy = x - start[0], y - start[1]
    along = np.minimum(np.maximum((dx * ex + dy * ey) / (ex * ex + ey * ey), 0), 1)
    dx, dy = dx - along * ex, dy - along * ey
    return np.sqrt(dx * dx + dy * dy)


def coverage(distance):
    """How much of a pixel is covered, 0..1, from the signed distance of its centre in pixels."""
    return np.minimum(np.maximum(0.5 - distance, 0), 1)


def planes(colour) -> np.ndarray:
    """A colour [3] in the shape [3, 1, 1], for a canvas of three planes [3, h, w]."""
    return np.asarray(colour, np.float32)[:, None, None]


def paint(canvas, cover, colour) -> None:
    """Blends `colour` ([3] or [3, h, w]) into `canvas` ([3, h, w]) where `cover` ([h, w]) says."""
    canvas += cover * ((planes(colour) if colour.ndim == 1 else colour) - canvas)


def blur(canvas):
    """A 3x3 binomial filter on [3, h, w]; the border is repeated."""
    padded = np.pad(canvas, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = (padded[:, :-2] + padded[:, 2:]) * np.float32(0.25) + padded[:, 1:-1] * np.float32(0.5)
    sides = (rows[:, :, :-2] + rows[:, :, 2:]) * np.float32(0.25)
    return sides + rows[:, :, 1:-1] * np.float32(0.5)


def smooth_noise(stream: RandomStream, size: int, cells: int):
    """Soft blotches: random values on a grid, interpolated. Returns [size, size] in 0..1."""
    grid = stream.pixels(cells + 1, cells + 1)
    position = np.arange(size, dtype=np.float32) * np.float32(cells / size)
    low = position.astype(np.int64)
    part = position - low
    rows = grid[low] + part[:, None] * (grid[low + 1] - grid[low])
    return rows[:, low] + part[None, :] * (rows[:, low + 1] - rows[:, low])
