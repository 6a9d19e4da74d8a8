"""A TensorFlow Lite model as plain dataclasses; `parse_model` makes them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from micronet_mcu.shown import Shown, bytes_text, size_text, some_of


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. Real value = scale * (stored - zero_point).

    Attributes:
        index: its place in `Model.tensors`.
        name: as stored; may be empty.
        shape: positive sizes; () is a scalar. A batch of "any size" reads as 1.
        dtype: numpy type, little-endian.
        scale: float32, length 0 (not quantized), 1 (per tensor) or shape[quantized_dimension].
        zero_point: int64, as long as `scale`.
        quantized_dimension: the axis of per-channel scales.
        data: the constant's read-only values in `shape`, or None for an activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: np.ndarray
    zero_point: np.ndarray
    quantized_dimension: int
    data: np.ndarray | None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator. `inputs` holds -1 where an optional input (such as a bias) is left out.

    `options` has the schema's fields in snake case: `stride_h`, `padding` ("SAME" or "VALID"),
    `fused_activation_function` ("NONE", "RELU", "RELU6", ...); empty when the file stores none.
    """

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    custom_name: str | None = None
    custom_options: bytes = b""

    @property
    def title(self) -> str:
        """The builtin operator's name, or the custom operator's."""
        return self.custom_name or self.name


@dataclass(frozen=True, eq=False)
class State:
    """What a model keeps from one run to the next (a resource variable).

    Attributes:
        name: the variable's.
        before: the tensor that holds what was kept when a run begins.
        after: the tensor that is kept when it ends.
        initial: what the first run finds, in the tensors' shape.
    """

    name: str
    before: int
    after: int
    initial: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Model(Shown):
    """A model with one subgraph; `operators` are in an order that can be run; `name` is that of
    its file, for messages. What it keeps from run to run is in `states`, which stand in the place
    of the operators that read and assign variables."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str
    nbytes: int
    raw: bytes
    name: str = "model"
    states: tuple[State, ...] = ()

    def facts(self) -> list[tuple[str, str]]:
        def ends(indices: tuple[int, ...]) -> str:
            tensors = [self.tensors[index] for index in indices]
            return some_of([f"{size_text(t.shape)} {t.dtype.name}" for t in tensors])

        titles = Counter(operator.title for operator in self.operators)
        return [
            ("name", self.name),
            ("inputs", ends(self.inputs)),
            ("outputs", ends(self.outputs)),
            ("operators", f"{len(self.operators)}: {some_of(sorted(titles))}"),
            ("size", bytes_text(self.nbytes)),
        ]

    def shapes(self, operator: Operator) -> str:
        """The operator for an error message: name, index, shapes in and out."""

        def text(indices: tuple[int, ...]) -> str:
            return ", ".join(
                "-" if i < 0 else "x".join(map(str, self.tensors[i].shape)) or "scalar"
                for i in indices
            )

        return (
            f"operator {operator.index} {operator.title} ({text(operator.inputs)} -> "
            f"{text(operator.outputs)})"
        )

    def describe(self, operator: Operator) -> str:
        """The operator for an error message about a layer: its name, then as `shapes`."""
        name = layer_name(self, operator)
        text = self.shapes(operator)
        return text if text.startswith(name) else f"{name}, {text}"


_LONGEST_NAME = 60
# What converters append to a layer's name, and what they write where there was none.
_SUFFIXES = {"BiasAdd", "Conv2D", "MatMul", "Relu", "Relu6", "Softmax"}
_NAMELESS = ("StatefulPartitionedCall", "PartitionedCall", "Identity", "tfl.")


def layer_name(model: Model, operator: Operator) -> str:
    """What to call an operator's layer: the name of its output, without what converters add to it;
    "operator 14 CONV_2D" where it has none.

    Models that this project converts carry the names of the Keras layers.
    """
    name = readable_name(model.tensors[operator.outputs[0]].name)
    return name or f"operator {operator.index} {operator.title}"


def readable_name(stored: str) -> str:
    """A tensor's name without what converters add to it; empty where nothing is left.

    Example:

    >>> readable_name("block1/squeeze/BiasAdd;block1/squeeze/Conv2D"), readable_name("Identity:0")
    ('block1/squeeze', '')
    """
    parts = stored.split(";")[0].split(":")[0].removeprefix("serving_default_").split("/")
    while len(parts) > 1 and parts[-1] in _SUFFIXES:
        parts.pop()
    readable = "".join(c if c.isprintable() else "?" for c in "/".join(parts))
    if readable.startswith(_NAMELESS):
        return ""
    return readable if len(readable) <= _LONGEST_NAME else "..." + readable[3 - _LONGEST_NAME :]
