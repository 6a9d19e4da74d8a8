"""Convolutions in bands of rows: their output may then lie over rows of the input that are used up.

A kernel reads all of its input while it writes its output, so that the two lie apart. Called for
some rows after the others (micronet_in_bands), it needs no more than those rows of both.
"""

from dataclasses import replace

from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.program import Step

_KERNELS = ("micronet_conv2d", "micronet_depthwise", "micronet_depthwise_1d",
            "micronet_depthwise_wide")  # fmt: skip


def can_be_banded(step: Step) -> bool:
    """Whether the step is a convolution of several rows."""
    return step.call.kernel.name in _KERNELS and rows_of(step) > 1


def rows_of(step: Step) -> int:
    """Rows of a convolution's output."""
    return _number(step, "out_h")


def in_bands(step: Step, rows: int) -> Step:
    """The step, which can be banded, `rows` rows of the output at a time."""
    call = step.call
    if call.kernel is kernel("depthwise_wide"):
        wide, rest, _, *ends = call.args
        banded = replace(call, args=(wide, rest, rows, *ends))
    else:
        banded = replace(call, kernel=kernel("in_bands"), args=(call.kernel, rows, *call.args))
    return replace(step, call=banded, lag=lag_of(step, rows), rows=rows)


def lag_of(step: Step, rows: int) -> int:
    """See `Step.lag`: a band's output must end before the first row that it reads."""
    row_in = _number(step, "in_w") * _number(step, "in_c")
    row_out = _number(step, "out_w") * _number(step, "out_c")
    out_h, stride, pad = (_number(step, name) for name in ("out_h", "stride_h", "pad_top"))
    return max(
        0,
        *(
            min(first + rows, out_h) * row_out - max(0, first * stride - pad) * row_in
            for first in range(0, out_h, rows)
        ),
    )


def _number(step: Step, name: str) -> int:
    assert step.call.params is not None
    value = step.call.params.values[name]
    assert isinstance(value, int)
    return value
