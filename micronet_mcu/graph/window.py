"""The sliding windows of convolutions and pools."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """Height and width of each; output (y, x) starts at input row y * stride - pad.

    Attributes:
        kernel: taps.
        stride: rows and columns from one output to the next.
        pad: rows above and columns left of the input that count as zero.
        dilation: rows and columns from one tap to the next.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    dilation: Pair = (1, 1)


def window_of(options: Mapping[str, Any], sizes: Sequence[int], kernel: Sequence[int]) -> Window:
    """From an operator's options and its input's height and width; SAME and VALID become `pad`."""
    stride = options["stride_h"], options["stride_w"]
    dilation = options.get("dilation_h_factor", 1), options.get("dilation_w_factor", 1)
    height, width = kernel
    top, left = (
        leading_padding(*axis, options["padding"])
        for axis in zip(sizes, kernel, stride, dilation, strict=True)
    )
    return Window((height, width), stride, (top, left), dilation)


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Rows or columns of a window operator's output, as TensorFlow defines them."""
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else (size - reach + stride) // stride


def leading_padding(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Rows or columns of zeros before the input, as TensorFlow defines them."""
    if padding != "SAME":
        return 0
    out = output_size(size, kernel, stride, dilation, padding)
    return max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2
