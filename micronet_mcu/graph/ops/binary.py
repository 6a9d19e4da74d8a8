"""What operators of two operands share: broadcasting, and the kernels' fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from micronet_mcu.graph import demands
from micronet_mcu.graph.fixed_point import quantize_multiplier
from micronet_mcu.graph.graph import Node
from micronet_mcu.graph.kernels import Kernel
from micronet_mcu.graph.op import Operands
from micronet_mcu.graph.ops import convolution, move
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import BINARY
from micronet_mcu.graph.value import Value
from micronet_mcu.tflite.model import Tensor


@dataclass(frozen=True, eq=False)
class Binary(Node):
    """An operation on the elements of two tensors, either of which may be a constant.

    Attributes:
        clamp: least and greatest output.
    """

    clamp: tuple[int, int]

    def problems(self) -> Iterator[str]:
        a, b = self.inputs
        if np.broadcast_shapes(a.shape, b.shape) != self.output.shape:
            yield f"inputs of {a.shape} and {b.shape} for an output of {self.output.shape}"
        if not all(_repeats(value, self.output.shape) for value in (a, b)):
            yield f"an input of {a.shape} or {b.shape} that is not repeated as a whole"

    def scaled(
        self, function: Kernel, a: Value, b: Value, reals: dict[str, float], macs: int = 0
    ) -> Step:
        """By a kernel that takes micronet_binary_params; `reals` are its multipliers."""
        y = self.output
        fields = {
            "count": y.size, "in1_count": a.size, "in2_count": b.size,
            "in1_zero_point": a.zero_point, "in2_zero_point": b.zero_point,
            "output_zero_point": y.zero_point, **convolution.bounds(self.clamp),
        }  # fmt: skip
        for name in ("in1", "in2", "out"):
            multiplier, shift = quantize_multiplier(reals.get(name, 0.0))
            fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
        call = Call(function, Params(BINARY, fields), (a, b, y))
        return self.made(call, in_place=True, macs=macs)


def check(options: demands.Options, inputs: demands.Inputs, y: Tensor) -> None:
    """Types, scales and broadcasting."""
    demands.quantized(*inputs, y)
    try:
        shape = np.broadcast_shapes(*(t.shape for t in inputs))
    except ValueError:
        raise demands.Misfit("has inputs that do not broadcast") from None
    demands.gives(y, shape)


def _repeats(value: Value, shape: tuple[int, ...]) -> bool:
    """Whether the operand, repeated as a whole, has this shape: [1, 1, 1, C], not [1, H, 1, 1]."""
    tail = value.shape[next((i for i, n in enumerate(value.shape) if n != 1), 0) :]
    return value.size in (1, np.prod(shape)) or tail == shape[len(shape) - len(tail) :]


def reader(node: type[Binary]) -> Callable[[Operands], tuple[Node, ...]]:
    """Makes nodes of this class, each with those that spread its operands."""

    def read(operands: Operands) -> tuple[Node, ...]:
        ends = operands.node(2)
        spread = [_spread(operands, value, ends["output"].shape) for value in ends["inputs"]]
        nodes = [node for _, node in spread if node]
        return *nodes, node(
            **ends | {"inputs": tuple(v for v, _ in spread)}, clamp=operands.clamp()
        )

    return read


def _spread(operands: Operands, value: Value, shape: tuple[int, ...]) -> tuple[Value, Node | None]:
    """An operand that can be repeated as a whole, and the node that makes it."""
    if _repeats(value, shape):
        return value, None
    if value.data is not None:
        data = np.ascontiguousarray(np.broadcast_to(value.data, shape))
        return replace(value, shape=shape, data=data), None
    wide = replace(value, name=f"{value.name} spread", shape=shape, tensor=-1)
    made = move.made(move.Broadcast, operands.origin, value, wide,
                     lambda x: np.broadcast_to(x, shape))  # fmt: skip
    return wide, made
