"""A Keras model called on graph nodes in the place of arrays."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from micronet_keras.lower.graph import Flatten, Graph, Input, Node, Reshape, Shape
from micronet_mcu.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """What stands for a tensor while the model is traced.

    Attributes:
        name: the node whose output it is.
        rank: of the tensor in Keras, without the batch: 1 a vector (in the graph [1, 1, c]), 2 a
            sequence (in the graph [1, n, c]), 3 a map.
    """

    name: str
    rank: int


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """Outputs that the Keras model joins by `PackLevels` and the graph puts out one by one."""

    values: tuple[Value, ...]
    classes: int


@dataclasses.dataclass(frozen=True)
class Obstacle:
    """Something in a model that cannot be lowered.

    Attributes:
        name: of the layer, with the models around it.
        kind: its class or function; empty for what is no layer.
        advice: what is wrong, and what to use instead.
    """

    name: str
    kind: str
    advice: str

    def __str__(self) -> str:
        kind = f" ({self.kind})" if self.kind else ""
        return f"{self.name!r}{kind}: {self.advice}"


class CannotLower(Exception):
    """Raised by a rule; the message says what is wrong and what to use instead."""


class _Stopped(Exception):
    """What is behind an obstacle cannot be looked at."""


Rule = Callable[..., Any]


class Trace:
    """The graph as it grows, with what rules need.

    Attributes:
        graph: the nodes so far.
        obstacles: what could not be lowered so far. In its place there is a node of its shape.
        rule_of: from a layer or operator to its rule; raises `CannotLower` when it has none.
    """

    def __init__(self, rule_of: Callable[[keras.Operation], Rule]):
        self.graph = Graph()
        self.obstacles: list[Obstacle] = []
        self.rule_of = rule_of
        self._prefix = ""

    def run(self, model: keras.Model) -> None:
        """Traces the whole model; ends at an obstacle whose output's shape is not known."""
        try:
            outputs = self._outputs(model)
            if not self.obstacles:
                self.graph.outputs = self._output_names(outputs)
        except _Stopped:
            pass

    def _outputs(self, model: keras.Model) -> list[Value | Packed]:
        if not isinstance(model, keras.Model):
            raise UserError(f"only a Keras model can be lowered. Received: {type(model)}")
        if not _is_traceable(model):
            self._stop(model.name, _kind(model), _OWN_CALL)
        if not model.built:
            advice = "it has no weights yet; give it an input shape, or call it on an image"
            self._stop(model.name, _kind(model), advice)
        if len(model.inputs) != 1:
            names = ", ".join(repr(tensor.name) for tensor in model.inputs)
            advice = f"a graph takes one image, this model takes {len(model.inputs)} ({names})"
            self._stop(model.name, _kind(model), f"{advice}; make a model of one of its inputs")
        (tensor,) = model.inputs
        _, *shape = tensor.shape
        if len(shape) != 3 or None in shape:
            advice = (
                f"the input must be one image of a fixed size, and not of shape {tensor.shape}; "
                "build the model with input_shape=(height, width, channels)"
            )
            self._stop(tensor.name, "", advice)
        image = self.put(Input(tensor.name, (), tuple(shape)), 3)
        return keras.tree.flatten(self._inside(model, image))

    def _output_names(self, outputs: list[Any]) -> list[str]:
        if len(outputs) == 1 and isinstance(outputs[0], Packed):
            self.graph.packed_classes = outputs[0].classes
            outputs = list(outputs[0].values)
        if any(isinstance(value, Packed) for value in outputs):
            advice = "it must be the model's only output; put out its inputs beside others"
            self.obstacles.append(Obstacle("PackLevels", "", advice))
            return []
        names = [value.name for value in outputs]
        for name in {name for name in names if names.count(name) > 1}:
            self.obstacles.append(
                Obstacle(name, "", "it is the model's output twice; once will do")
            )
        if self.graph.input.name in names:
            self.obstacles.append(Obstacle(self.graph.input.name, "", "the output is the image"))
        # Inside the graph every tensor has rank 3.
        return names if self.obstacles else [self._output(value) for value in outputs]

    def _output(self, value: Value) -> str:
        if value.rank == 3:
            return value.name
        name, inputs = self.unique(f"{value.name}/flat"), (value.name,)
        if value.rank == 1:
            return self.graph.add(Flatten(name, inputs))
        return self.graph.add(Reshape(name, inputs, self.shape(value)[1:]))

    def call(self, operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        """What a layer, an operator or a whole model gives for these arguments."""
        if isinstance(operation, keras.Model) and _is_traceable(operation):
            return self._nested(operation, *args)
        name = self.unique(self._prefix + operation.name)
        try:
            arguments = _checked(operation, args, kwargs)
            return self.rule_of(operation)(self, name, operation, *arguments[0], **arguments[1])
        except CannotLower as reason:
            self.obstacles.append(Obstacle(name, _kind(operation), str(reason)))
            return self._substitute(name, operation, args, kwargs)

    def _nested(self, model: keras.Model, *args: Any) -> Any:
        around, self._prefix = self._prefix, f"{self._prefix}{model.name}/"
        try:
            return self._inside(model, *args)
        finally:
            self._prefix = around

    def _inside(self, model: keras.Model, *args: Any) -> Any:
        if isinstance(model, keras.Sequential):
            (value,) = args
            for layer in model.layers:
                value = self.call(layer, value)
            return value
        # Keras' own way through a functional model; shared layers and several outputs are its care.
        return model._run_through_graph(list(args), call_fn=self.call)

    def announced(self, operation: keras.Operation, args: Any, kwargs: Any) -> list[Shape]:
        """The shapes, without the batch, of what Keras says that the operation gives."""
        outputs = keras.tree.flatten(self._spec(operation, args, kwargs))
        return [tuple(output.shape[1:]) for output in outputs]

    def _spec(self, operation: keras.Operation, args: Any, kwargs: Any) -> Any:
        def tensor(value):
            if isinstance(value, Packed):
                raise _Stopped
            if not isinstance(value, Value):
                return value
            return keras.KerasTensor((1, *self.shape(value)[3 - value.rank :]))

        try:
            inputs = keras.tree.map_structure(tensor, args)
            return operation.compute_output_spec(*inputs, **kwargs)
        except Exception as error:  # Whatever a layer raises that is not made for this.
            raise _Stopped from error

    def _substitute(self, name: str, operation, args: Iterable[Any], kwargs) -> Any:
        """Nodes of the right shapes in the place of what cannot be lowered."""

        def node(output):
            _, *shape = output.shape
            if not 1 <= len(shape) <= 3 or None in shape:
                raise _Stopped
            canonical = (*(1,) * (3 - len(shape)), *shape)
            return self.put(Input(self.unique(name), (), canonical), len(shape))

        return keras.tree.map_structure(node, self._spec(operation, args, kwargs))

    def _stop(self, name: str, kind: str, advice: str) -> None:
        self.obstacles.append(Obstacle(name, kind, advice))
        raise _Stopped

    def unique(self, name: str) -> str:
        """The name, with a number behind it if a node has it already: of a shared layer."""
        taken, count = name, 0
        while taken in self.graph:
            count += 1
            taken = f"{name}_{count}"
        return taken

    def shape(self, value: Value) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.graph.shape(value.name)
        return height, width, channels

    def put(self, node: Node, rank: int) -> Value:
        """Adds a node, under another name if there is one of its name already."""
        if node.inputs and min(node.shape_of(*map(self.graph.shape, node.inputs))) < 1:
            raise CannotLower("nothing is left of the image here; give the model a larger one")
        name = self.unique(node.name)
        node = node if name == node.name else dataclasses.replace(node, name=name)
        return Value(self.graph.add(node), rank)


_OWN_CALL = (
    "it has a `call` of its own, which cannot be looked into; write it as a functional or "
    "Sequential model of Keras layers"
)


@functools.cache
def _functional() -> Any:
    image = keras.Input((1,))
    return type(keras.Model(image, image))


def _is_traceable(model: keras.Model) -> bool:
    """Whether the model is only made of its layers, and not by a `call` of its own."""
    kind: Any = type(model)
    return kind.call in (keras.Sequential.call, _functional().call)


def _checked(
    operation: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments for the rule, after what holds for every layer has been looked at."""
    if kwargs.get("mask") is not None:
        raise CannotLower("masks have no int8 form; call it without")
    if not isinstance(operation, keras.layers.Layer):
        return args, kwargs
    # `training` is what `predict` says, and not what the layer was called with.
    kwargs = {name: kwargs[name] for name in kwargs if name not in ("training", "mask")}
    if "inputs" in kwargs:
        args = (kwargs.pop("inputs"), *args)
    if kwargs:
        raise CannotLower(f"it is called with {', '.join(kwargs)}; call it on its input alone")
    if getattr(operation, "quantization_mode", None):
        raise CannotLower(
            f"Keras has quantized its weights already ({operation.quantization_mode}); "
            "give the model as it was before `model.quantize`"
        )
    if getattr(operation, "data_format", None) == "channels_first":
        raise CannotLower(
            'it is of data_format="channels_first"; build the model with "channels_last" and '
            "give it the same weights"
        )
    for variable in operation.weights:
        values = keras.ops.convert_to_numpy(variable.value)
        if values.dtype.kind not in "iub" and not np.isfinite(values.astype(np.float32)).all():
            raise CannotLower(
                f"its {variable.name} holds NaN or infinity; train the model again, with a smaller "
                "learning rate, or take an earlier checkpoint"
            )
        if variable.name == "moving_variance" and (values < 0).any():
            raise CannotLower("its moving_variance is negative; take an earlier checkpoint")
    return args, kwargs


def _kind(operation: Any) -> str:
    return type(operation).__name__
