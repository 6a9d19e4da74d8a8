"""Why a model cannot be compiled: all there is, in one line."""

from collections.abc import Iterable

from micronet_mcu.tflite.model import Model, Operator

_LAYERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}


def kind_of(model: Model, operator: Operator) -> str | None:
    """The kind of graph that an operator is of, if it is not one of int8 or of its ends."""
    tensors = [model.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
    moving = {t.dtype.name for t in tensors if t.data is None}
    weights = {t.dtype.name for t in tensors if t.data is not None}
    if "int16" in moving:
        return "int16 activations"
    if operator.name in ("QUANTIZE", "DEQUANTIZE"):
        return None
    if "uint8" in moving:
        return "a legacy uint8 graph"
    if "float32" in moving and operator.name in _LAYERS and weights & {"int8", "uint8"}:
        return "a hybrid graph, of int8 weights and float32 activations"
    return "float32 activations" if "float32" in moving else None


class Obstacles:
    """Collects what stands in the way of a model; the same reason is given once.

    Example:

    >>> found = Obstacles("a.tflite")
    >>> found.add("CUMSUM", "operator 3 CUMSUM (1x4 -> 1x4)", "not supported")
    >>> found.add("CUMSUM", "operator 7 CUMSUM (1x2 -> 1x2)", "not supported")
    >>> print(found.message())
    a.tflite: cannot compile operator 3 CUMSUM (1x4 -> 1x4) and 1 more CUMSUM: not supported
    """

    def __init__(self, name: str):
        self._name = name
        self._found: dict[tuple[str, str], list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, kind: str, what: str, reason: str) -> None:
        """A thing of a kind (an operator's name) and what is wrong with it."""
        self._found.setdefault((kind, reason), []).append(what)

    def message(self, more: Iterable[str] = ()) -> str:
        """One line; `more` stands behind."""
        parts = []
        for (kind, reason), things in self._found.items():
            others = f" and {len(things) - 1} more {kind}" if len(things) > 1 else ""
            parts.append(f"{things[0]}{others}: {reason}")
        return f"{self._name}: cannot compile {'; '.join([*parts, *more])}"
