"""Operators that only move values (TRANSPOSE, SPLIT, TILE, ...), as steps through the input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from micronet_mcu.graph.graph import Node, Unsupported
from micronet_mcu.graph.kernels import kernel
from micronet_mcu.graph.op import Op, Operands
from micronet_mcu.graph.ops.reshape import Reshape
from micronet_mcu.graph.program import Call, Params, Step
from micronet_mcu.graph.structs import MOVE
from micronet_mcu.graph.value import Value

_AXES = 6  # MICRONET_MOVE_AXES

# A view of an array of the input's shape: where numpy has the output's values, in their order.
View = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Move(Node):
    """The output, element by element, from places in the input.

    Attributes:
        start: of the first element.
        sizes: of the axes that are walked through, the last one fastest.
        steps: how far apart neighbours on each of them lie in the input; 0 repeats.
    """

    start: int
    sizes: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def is_slice(self) -> bool:
        """Whether the values lie in the input as they do in the output."""
        return self.steps == (1,)

    def problems(self) -> Iterator[str]:
        ends = [(size - 1) * step for size, step in zip(self.sizes, self.steps, strict=True)]
        low = self.start + sum(end for end in ends if end < 0)
        high = self.start + sum(end for end in ends if end > 0)
        if math.prod(self.sizes) != self.output.size or low < 0 or high >= self.inputs[0].size:
            yield f"{self.sizes} in steps of {self.steps} from {self.start}"

    def step(self) -> Step:
        if len(self.sizes) > _AXES:
            raise Unsupported(f"it has {len(self.sizes)} axes that cannot be merged, over {_AXES}")
        missing = _AXES - len(self.sizes)
        fields = {
            "start": self.start,
            "size": (1,) * missing + self.sizes,
            "step": (0,) * missing + self.steps,
        }
        return self.made(Call(kernel("move"), Params(MOVE, fields), (*self.inputs, self.output)))


def made(
    kind: type[Move], origin: dict[str, Any], x: Value, y: Value, view: View
) -> Move | Reshape:
    """The node of y = view(x); a RESHAPE where all values stay in their order.

    Raises:
        Unsupported: there is no such view, or it is not of the output's size.
    """
    whole = np.empty(x.shape, np.int8)
    try:
        seen = view(whole)
    except (ValueError, IndexError, TypeError, ArithmeticError) as problem:
        raise Unsupported(f"its numbers make no sense ({problem})") from None
    if seen.size != y.size:
        raise Unsupported(f"should give {seen.size} values")
    start = seen.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    sizes, steps = _merged(seen.shape, seen.strides)
    node = kind((x,), y, **origin, start=start, sizes=sizes, steps=steps)
    return Reshape((x,), y, **origin) if node.is_slice and x.size == y.size else node


def _merged(shape: Sequence[int], strides: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Sizes and steps with as few axes as go, at least one."""
    axes: list[tuple[int, int]] = []
    for size, step in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == step * size:
            axes[-1] = axes[-1][0] * size, step
        else:
            axes.append((size, step))
    axes = axes or [(1, 1)]
    return tuple(size for size, _ in axes), tuple(step for _, step in axes)


@dataclass(frozen=True, eq=False)
class Broadcast(Move):
    """Repeated along axes of size 1."""

    kind: ClassVar[str] = "BROADCAST_TO"


@dataclass(frozen=True, eq=False)
class Transpose(Move):
    """The axes in another order."""

    kind: ClassVar[str] = "TRANSPOSE"


@dataclass(frozen=True, eq=False)
class Slice(Move):
    """A part of each axis."""

    kind: ClassVar[str] = "SLICE"


@dataclass(frozen=True, eq=False)
class Tile(Move):
    """The whole, repeated."""

    kind: ClassVar[str] = "TILE"


@dataclass(frozen=True, eq=False)
class Blocks(Move):
    """Pixels to channels, or back."""

    kind: ClassVar[str] = "SPACE_TO_DEPTH"


def _integers(operands: Operands, place: int) -> list[int]:
    data = operands.constant(place)
    if data.dtype.kind != "i":
        raise Unsupported(f"its input {place} must hold integers")
    return [int(n) for n in data.ravel()]


def _moves(kind: type[Move], view_of: Callable[[Operands], View]) -> Callable[[Operands], Node]:
    def read(operands: Operands) -> Node:
        x, y = operands.value(operands.tensor(0)), operands.value(operands.output(0))
        return made(kind, operands.origin, x, y, view_of(operands))

    return read


def _transposed(operands: Operands) -> View:
    order = _integers(operands, 1)
    return lambda x: x.transpose(order)


def _sliced(operands: Operands) -> View:
    begin, size = _integers(operands, 1), _integers(operands, 2)
    ends = [None if n == -1 else b + n for b, n in zip(begin, size, strict=False)]
    return lambda x: x[tuple(slice(b, e) for b, e in zip(begin, ends, strict=True))]


def _strided(operands: Operands) -> View:
    begin, end, stride = (_integers(operands, place) for place in (1, 2, 3))
    masks = operands.options
    if masks["ellipsis_mask"] or masks["new_axis_mask"] or masks.get("offset"):
        raise Unsupported("an ellipsis, new axes and offsets are not supported")

    def axis(i: int, size: int) -> slice:
        if masks["shrink_axis_mask"] >> i & 1:
            first = begin[i] % size
            return slice(first, first + 1)
        low = None if masks["begin_mask"] >> i & 1 else begin[i]
        high = None if masks["end_mask"] >> i & 1 else end[i]
        return slice(low, high, stride[i])

    return lambda x: x[tuple(axis(i, n) for i, n in enumerate(x.shape[: len(begin)]))]


def _tiled(operands: Operands) -> View:
    times = _integers(operands, 1)

    def view(x: np.ndarray) -> np.ndarray:
        wide = x.reshape([n for size in x.shape for n in (1, size)])
        return np.broadcast_to(wide, [n for pair in zip(times, x.shape, strict=True) for n in pair])

    return view


def _broadcast(operands: Operands) -> View:
    shape = operands.output(0).shape
    return lambda x: np.broadcast_to(x, shape)


def _to_depth(operands: Operands) -> View:
    block = operands.options["block_size"]

    def view(x: np.ndarray) -> np.ndarray:
        batch, height, width, depth = x.shape
        parts = x.reshape(batch, height // block, block, width // block, block, depth)
        return parts.transpose(0, 1, 3, 2, 4, 5)

    return view


def _to_space(operands: Operands) -> View:
    block = operands.options["block_size"]

    def view(x: np.ndarray) -> np.ndarray:
        parts = x.reshape(*x.shape[:3], block, block, -1)
        return parts.transpose(0, 1, 3, 2, 4, 5)

    return view


def _parts(operands: Operands, place: int, axis: int, sizes: Sequence[int]) -> tuple[Node, ...]:
    """A slice of so many entries of an axis for each output; one size may be -1, the rest."""
    x = operands.value(operands.tensor(place))
    if not -len(x.shape) <= axis < len(x.shape):
        raise Unsupported(f"axis {axis} of {len(x.shape)}")
    axis %= len(x.shape)
    rest = x.shape[axis] - sum(n for n in sizes if n >= 0)
    sizes = [rest if n == -1 else n for n in sizes]
    if len(sizes) != len(operands.outputs) or sum(sizes) != x.shape[axis] or min(sizes) < 0:
        raise Unsupported(f"{len(operands.outputs)} outputs of {sizes} do not fit together")

    def cut(low: int, high: int) -> View:
        return lambda whole: whole[(slice(None),) * axis + (slice(low, high),)]

    bounds = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    return tuple(
        made(Slice, operands.origin, x, operands.value(y), cut(low, high))
        for y, low, high in zip(operands.outputs, bounds, bounds[1:], strict=False)
    )


def _axis(operands: Operands, place: int) -> int:
    numbers = _integers(operands, place)
    if len(numbers) != 1:
        raise Unsupported(f"its input {place} must be one number")
    return numbers[0]


def _read_split(operands: Operands) -> tuple[Node, ...]:
    axis, shape, count = _axis(operands, 0), operands.tensor(1).shape, len(operands.outputs)
    size = shape[axis] // count if -len(shape) <= axis < len(shape) else 0
    return _parts(operands, 1, axis, [size] * count)


def _read_split_v(operands: Operands) -> tuple[Node, ...]:
    return _parts(operands, 0, _axis(operands, 2), _integers(operands, 1))


def _read_unpack(operands: Operands) -> tuple[Node, ...]:
    count = len(operands.outputs)
    return _parts(operands, 0, operands.options["axis"], [1] * count)


def _read_reshape(operands: Operands) -> Node:
    x, y = operands.value(operands.tensor(0)), operands.value(operands.output(0))
    return made(Transpose, operands.origin, x, y, lambda whole: whole)


OPERATORS = (
    Op("BROADCAST_TO", "AddBroadcastTo", None, (2, 2), None, _moves(Broadcast, _broadcast)),
    Op("DEPTH_TO_SPACE", "AddDepthToSpace", None, (1, 1), "DepthToSpaceOptions",
       _moves(Blocks, _to_space)),
    Op("EXPAND_DIMS", "AddExpandDims", None, (2, 2), None, _read_reshape),
    Op("SLICE", "AddSlice", None, (3, 3), None, _moves(Slice, _sliced)),
    Op("SPACE_TO_DEPTH", "AddSpaceToDepth", None, (1, 1), "SpaceToDepthOptions",
       _moves(Blocks, _to_depth)),
    Op("SPLIT", "AddSplit", None, (2, 2), None, _read_split, several=True),
    Op("SPLIT_V", "AddSplitV", None, (3, 3), None, _read_split_v, several=True),
    Op("SQUEEZE", "AddSqueeze", None, (1, 1), None, _read_reshape),
    Op("STRIDED_SLICE", "AddStridedSlice", None, (4, 4), "StridedSliceOptions",
       _moves(Slice, _strided)),
    Op("TILE", "AddTile", None, (2, 2), None, _moves(Tile, _tiled)),
    Op("TRANSPOSE", "AddTranspose", None, (2, 2), None, _moves(Transpose, _transposed)),
    Op("UNPACK", "AddUnpack", None, (1, 1), "UnpackOptions", _read_unpack, several=True),
)  # fmt: skip
