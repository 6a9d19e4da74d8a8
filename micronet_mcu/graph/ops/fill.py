"""SHAPE and FILL: what is known when the model is compiled."""

from __future__ import annotations

import numpy as np

from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.op import Op, Operands


def _read_shape(operands: Operands) -> tuple[Node, ...]:
    raise Unsupported("it is only supported where it shapes a RESHAPE or a FILL")


def _read_fill(operands: Operands) -> tuple[Node, ...]:
    values = operands.constant(1)
    if values.size != 1:
        raise Unsupported("its input 1 must be one number")
    operands.define(np.full(operands.output(0).shape, values.ravel()[0]))
    return ()


SHAPE = Op("SHAPE", "AddShape", None, (1, 1), None, _read_shape)
FILL = Op("FILL", "AddFill", None, (2, 2), None, _read_fill, uses=(1,))
