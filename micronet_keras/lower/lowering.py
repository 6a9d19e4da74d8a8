"""A Keras model as a deployable graph."""

from __future__ import annotations

from typing import Any

import keras

from micronet_keras.lower import folding, layer_rules, micronet_rules, operator_rules
from micronet_keras.lower.emit import settled
from micronet_keras.lower.fusing import fold_padding, fuse_bounds
from micronet_keras.lower.graph import Graph
from micronet_keras.lower.permute import fold_permutations
from micronet_keras.lower.trace import CannotLower, Obstacle, Rule, Trace
from micronet_keras.models import imagenet
from micronet_mcu.errors import UserError

_LAYER_RULES: dict[type, Rule] = {**layer_rules.RULES, **micronet_rules.RULES}
_NORMALIZATIONS = ("auto", "imagenet", "pixels", None)


def check(model: keras.Model) -> tuple[Obstacle, ...]:
    """Lists everything in a model that cannot be lowered, and what to use instead.

    To be called before a long training: `lower`, and with it quantization, refuses a model with
    obstacles. Only what is behind a layer of unknown output shape is not looked at.

    Args:
        model: a Keras model.

    Returns:
        The obstacles in the order of computation; none when the model can be lowered. Each prints
        as one line with the layer's name, its class and the way out.

    Raises:
        UserError: it is no Keras model.

    Example:

    >>> x = image = keras.Input((32, 32, 1))
    >>> x = keras.layers.Conv2D(8, 3, activation="gelu", name="first")(x)
    >>> x = keras.layers.LayerNormalization(name="norm")(x)
    >>> for obstacle in check(keras.Model(image, x)):
    ...     print(obstacle.name, obstacle.kind)
    first Conv2D
    norm LayerNormalization
    """
    return tuple(_traced(model).obstacles)


def lower(model: keras.Model, normalization: str | None = "auto") -> Graph:
    """Turns a Keras model into the graph that is quantized and deployed.

    Batch norms, dropouts and channel shuffles vanish, multiply-adds and clips become part of the
    weights and operations before them. In float the graph computes what the model computes.

    Args:
        model: functional or Sequential, with models inside it as deep as one likes and layers used
            several times, of one image of a fixed size with any number of channels; with one
            output or several. It may be made of this package's layers, of those of Keras in
            `micronet_keras.lower.layer_rules.RULES`, and of the operators (``x + y``, ``x / 255``)
            and calls of `keras.ops` in `micronet_keras.lower.operator_rules.RULES`. Weights and
            arithmetic of mixed precision become float32. `check` lists what cannot be lowered.
        normalization: what the model takes, and so what the int8 input means.
            "imagenet": what `preprocess_input` returns. The graph then takes pixels, and the int8
            input is ``pixel - 128``.
            "pixels": the model takes pixels, 0 to 255, itself: the same int8 input. A Rescaling,
            Normalization or arithmetic at its beginning becomes the input's scale and part of the
            first convolution.
            None: the graph takes what the model takes, of any range.
            "auto": "pixels" when the model begins with arithmetic that brings pixels into a usual
            range; else "imagenet" when the image has 3 channels, and None when not or when the
            model begins with other arithmetic.

    Returns:
        The graph. Its outputs are the model's, in order; of a `MicroNetObjectDetector` they are its
        `raw_outputs`, two for each level. With pixels it is exact but for the padding of the first
        convolution, which stands for a whole pixel value instead of the channels' exact zeros.

    Raises:
        UserError: something cannot be lowered; the message lists all of `check`.
        ValueError: `normalization` is none of these.

    Example:

    >>> graph = lower(micronet_keras.MicroNetM0(input_shape=(96, 96, 3), classes=10))
    >>> graph.channels()[graph.outputs[0]]
    10
    """
    if normalization not in _NORMALIZATIONS:
        raise ValueError(
            f"normalization must be one of {_NORMALIZATIONS}. Received: {normalization!r}"
        )
    trace = _traced(model)
    if trace.obstacles:
        texts = "; ".join(map(str, trace.obstacles))
        raise UserError(f"the model cannot be lowered: {texts}")
    graph = folding.fold_backward(fold_permutations(fold_padding(trace.graph)))
    if normalization == "auto":
        normalization = _usual(graph)
    if normalization == "imagenet":
        channels = graph.input.shape[2]
        if channels != len(imagenet.MEAN):
            raise UserError(
                f"ImageNet's normalization is of 3 channels, this model takes {channels}; put a "
                "Rescaling at its beginning, or lower with normalization=None"
            )
        graph = folding.fold_backward(folding.normalize(graph, imagenet.MEAN, imagenet.STD))
    if normalization is not None:
        graph = folding.take_pixels(graph)
    return settled(fuse_bounds(folding.fold_forward(graph)))


def _usual(graph: Graph) -> str | None:
    """What is meant by "auto"."""
    first = folding.leading_affine(graph)
    if first is not None:
        return "pixels" if folding.looks_like_pixels(first) else None
    return "imagenet" if graph.input.shape[2] == len(imagenet.MEAN) else None


def _traced(model: keras.Model) -> Trace:
    trace = Trace(_rule_of)
    trace.run(model)
    return trace


def _rule_of(operation: Any) -> Rule:
    """The rule for a layer or operator.

    Raises:
        CannotLower: there is none.
    """
    kind: Any = type(operation)
    if not isinstance(operation, keras.layers.Layer):
        if kind.__module__.startswith("keras.") and kind.__name__ in operator_rules.RULES:
            return operator_rules.RULES[kind.__name__]
        raise CannotLower(
            "this operation is not lowered; write it with layers and operators that are: "
            f"{', '.join(sorted(operator_rules.RULES))}"
        )
    for base in kind.__mro__:
        if base in _LAYER_RULES:
            # A subclass that only sets arguments is what it is a subclass of.
            if kind.call is base.call:
                return _LAYER_RULES[base]
            raise CannotLower(f"it has a `call` of its own; use {base.__name__} itself")
    raise CannotLower(
        layer_rules.ADVICE.get(
            kind.__name__,
            "there is no int8 form of this layer here; write it with layers that have one (the "
            "list is in the documentation of micronet_keras.lower.layer_rules)",
        )
    )
