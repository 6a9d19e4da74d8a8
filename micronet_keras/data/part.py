"""Which rows of every batch one of several processes makes."""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Part:
    """Of every batch so many equal, consecutive parts, and which one of them this is.

    Attributes:
        index, count: from 0 to below count.

    Raises:
        ValueError: there is no such part.

    Example:

    >>> Part(1, 4).rows(8)
    slice(2, 4, None)
    """

    index: int = 0
    count: int = 1

    def __post_init__(self):
        if not 0 <= self.index < self.count:
            raise ValueError(f"index must be 0 to below count. Received: {self.index, self.count}")

    def rows(self, batch_size: int) -> slice:
        """Those of a batch of this size."""
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)

    def holds(self, place: tf.Tensor, batch_size: int) -> tf.Tensor:
        """Whether the example at this place in an epoch, from 0, belongs to it; in a graph."""
        rows, row = self.rows(batch_size), place % batch_size
        return (rows.start <= row) & (row < rows.stop)

    def of(self, batches: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """These rows of batches that are made as a whole; all have `batch_size` of them."""
        if self.count == 1:
            return batches
        rows = self.rows(batch_size)
        return batches.map(lambda *parts: tuple(part[rows] for part in parts))
