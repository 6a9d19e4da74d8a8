"""The weights of a layer: filter, scales, bias."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Weights:
    """int8 weights of a convolution or of a dense layer.

    Attributes:
        values: int8, in the flatbuffer's layout.
        scales: float64, one or one for each output channel.
        bias: int32 [channels], or None.
        axis: of `values`, that of the output channels.
    """

    values: np.ndarray
    scales: np.ndarray
    bias: np.ndarray | None
    axis: int

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.values.shape[self.axis]

    @property
    def taps(self) -> int:
        """Products an output."""
        return self.values.size // self.channels

    @property
    def biases(self) -> np.ndarray:
        """int64 [channels], 0 where there is none."""
        return np.zeros(self.channels, np.int64) if self.bias is None else self.bias

    def take(self, index: np.ndarray) -> "Weights":
        """Those of the layer whose output channel j is what channel index[j] was."""
        return replace(
            self,
            values=np.take(self.values, index, self.axis),
            bias=None if self.bias is None else self.bias[index],
            scales=self.scales[index] if self.scales.size > 1 else self.scales,
        )

    def problems(self, outputs: int) -> Iterator[str]:
        """What contradicts itself; for `verify`."""
        if self.values.dtype != np.int8:
            yield f"weights of type {self.values.dtype}"
        if self.channels != outputs:
            yield f"weights for {self.channels} of {outputs} output channels"
        if self.scales.size not in (1, self.channels):
            yield f"{self.scales.size} scales for {self.channels} channels"
        if self.bias is not None and self.bias.shape != (self.channels,):
            yield f"biases of shape {self.bias.shape} for {self.channels} channels"
