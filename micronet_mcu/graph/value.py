"""What nodes read and write."""

from dataclasses import dataclass

import numpy as np

INT8 = np.dtype(np.int8)


@dataclass(frozen=True, eq=False)
class Value:
    """An activation, or a constant when `data` is there.

    Attributes:
        name: of its tensor.
        shape: [1, ...].
        scale, zero_point: real = scale * (stored - zero_point), one pair a tensor.
        data: a constant's values.
        base: of a view the value that owns the bytes; the view is the same under another shape, or
            a part of it.
        offset: where in the base's bytes the view begins.
        tensor: its index in the flatbuffer.
        dtype: int8; uint8 or float32 (which has no scale, 0.0) where the caller hands over others.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    data: np.ndarray | None = None
    base: "Value | None" = None
    offset: int = 0
    tensor: int = -1
    dtype: np.dtype = INT8

    @property
    def root(self) -> "Value":
        """The value that owns the bytes."""
        return self.base or self

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def channels(self) -> int:
        """Length of the last axis."""
        return self.shape[-1] if self.shape else 1

    @property
    def quantization(self) -> tuple[float, int]:
        """(scale, zero point)."""
        return self.scale, self.zero_point
