"""A Keras model as a deployable graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from micronet_keras.lower import folding, layer_rules, micronet_rules, operator_rules
from micronet_keras.lower.emit import settled
from micronet_keras.lower.fusing import fold_padding, fuse_bounds
from micronet_keras.lower.graph import Graph
from micronet_keras.lower.permute import fold_permutations
from micronet_keras.lower.trace import CannotLower, Obstacle, Rule, Trace, Value
from micronet_keras.models import imagenet
from micronet_mcu.errors import UserError

_LAYER_RULES: dict[type, Rule] = {**layer_rules.RULES, **micronet_rules.RULES}
# What `register_lowering` has been told, by the name of the class: a notebook's cell that is run
# again makes another class of the same name.
_OWN_RULES: dict[str, Rule] = {}
_NORMALIZATIONS = ("auto", "imagenet", "pixels", None)


def register_lowering(layer: type[keras.layers.Layer]) -> Callable[[Rule], Rule]:
    """Decorator: says how a layer of your own is lowered, and with it quantized and converted.

    The function below it has arguments ``(t, name, layer, *inputs)`` and returns what stands for
    the layer's output, or a list of that:

    - ``t.call(other, x)`` takes what a Keras layer or operation gives that is lowered already;
    - ``t.put(node, rank)`` adds a node of `micronet_keras.lower.graph`, named after `name`, with
      ``x.name`` as its inputs; `rank` is that of the tensor in Keras without the batch;
    - `micronet_keras.lower.pieces` has what many rules share, as `weights` and `scale_and_shift`;
    - ``t.shape(x)`` is (height, width, channels);
    - ``raise CannotLower("what to use instead")`` refuses settings that have no int8 form.

    Shapes are compared with those that the layer announces; that the values are the layer's is for
    you to test, as below. Subclasses without a `call` of their own are lowered by the same rule.

    Args:
        layer: the class. A later rule for a class of this name takes the place of an earlier one.

    Raises:
        ValueError: it is no class of layers, or has a rule of this package.

    Example:

    >>> from micronet_keras.lower.pieces import scale_and_shift, weights
    >>> class Scale(keras.layers.Layer):
    ...     def build(self, shape):
    ...         self.factors = self.add_weight((shape[-1],), "random_uniform")
    ...     def call(self, x):
    ...         return keras.ops.relu(x * self.factors)
    ...     def compute_output_shape(self, shape):
    ...         return shape
    >>> @register_lowering(Scale)
    ... def lower_scale(t, name, layer, x):
    ...     scaled = scale_and_shift(t, name, x, weights(layer.factors), 0)
    ...     return t.call(keras.layers.ReLU(name=f"{layer.name}_relu"), scaled)
    >>> inputs = keras.Input((8, 8, 3))
    >>> mine = keras.Model(inputs, Scale()(keras.layers.Conv2D(4, 3)(inputs)))
    >>> graph = lower(mine, normalization=None)
    >>> x = np.ones((1, 8, 8, 3), "float32")
    >>> from micronet_keras.lower.tensorflow import run
    >>> bool(np.allclose(run(graph, x)[0], mine.predict(x, verbose=0), atol=1e-5))
    True
    """
    if not (isinstance(layer, type) and issubclass(layer, keras.layers.Layer)):
        raise ValueError(f"A class of Keras layers is expected. Received: {layer!r}")
    if layer in _LAYER_RULES:
        raise ValueError(f"It is lowered already. Received: {layer.__name__}")

    def register(rule: Rule) -> Rule:
        _OWN_RULES[_class_name(layer)] = functools.partial(_own, rule)
        return rule

    return register


def _class_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _own(rule: Rule, t: Trace, name: str, layer: Any, *args: Any, **kwargs: Any) -> Any:
    """What a user's rule gives, if it is what the layer announces."""
    result = rule(t, name, layer, *args, **kwargs)
    values, announced = keras.tree.flatten(result), t.announced(layer, args, kwargs)
    if not all(isinstance(value, Value) for value in values):
        raise CannotLower("its rule of register_lowering must return what `t.put` or `t.call` did")
    shapes = [t.shape(value)[3 - value.rank :] for value in values]
    if shapes != announced:
        raise CannotLower(
            f"its rule of register_lowering gives {shapes}, and the layer itself {announced}"
        )
    return result


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
            `micronet_keras.lower.layer_rules.RULES`, of your own (`register_lowering`), and of the
            operators (``x + y``, ``x / 255``) and calls of `keras.ops` in
            `micronet_keras.lower.operator_rules.RULES`. Weights and arithmetic of mixed precision
            become float32. `check` lists what cannot be lowered.
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
    graph = _folded(model)
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


def normalization_of(model: keras.Model) -> str | None:
    """What `lower` takes "auto" for: "imagenet", "pixels" or None.

    Raises:
        UserError: the model cannot be lowered.

    Example:

    >>> normalization_of(model)  # a MicroNet
    'imagenet'
    """
    return _usual(_folded(model))


def _folded(model: keras.Model) -> Graph:
    """The graph before it is known what the model takes."""
    trace = _traced(model)
    if trace.obstacles:
        texts = "; ".join(map(str, trace.obstacles))
        raise UserError(f"the model cannot be lowered: {texts}")
    return folding.fold_backward(fold_permutations(fold_padding(trace.graph)))


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
        rule = _OWN_RULES.get(_class_name(base)) or _LAYER_RULES.get(base)
        if rule is not None:
            # A subclass that only sets arguments is what it is a subclass of.
            if kind.call is base.call:
                return rule
            raise CannotLower(
                f"it has a `call` of its own; use {base.__name__} itself, or say how it is lowered "
                "with micronet_keras.lower.register_lowering"
            )
    raise CannotLower(
        layer_rules.ADVICE.get(
            kind.__name__,
            "there is no int8 form of this layer here; write it with layers that have one (the "
            "list is in micronet_keras.lower.layer_rules), or say how it is lowered with "
            "micronet_keras.lower.register_lowering",
        )
    )
