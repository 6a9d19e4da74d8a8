"""What every layer of a model costs: shapes, parameters, multiply-adds, activations."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import keras

from micronet_keras.layers import DYShiftMax, MAdds, layer_madds
from micronet_mcu.shown import Shown, Table, size_text, some_of

# Whose multiply-adds are of vectors; those of all other layers that have any are of convolutions.
_DENSE = (keras.layers.Dense, DYShiftMax)


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """One layer, as it is met on the way through the model.

    Attributes:
        name: with the models and layers around it: "block1/depthwise".
        kind: its class.
        output_shape: of one image; of the first output where there are several.
        parameters: that training changes; 0 where the layer is met a second time.
        convolution, dense, dy_shift_max: multiply-adds for one image, as `layer_madds` counts them:
            of convolutions, of dense layers, and of DY-ShiftMax's coefficients with its input.
        activations: elements of the output for one image.
        counted: False where the layer has kernels and nobody knows what it does with them.
    """

    name: str
    kind: str
    output_shape: tuple[int | None, ...]
    parameters: int
    convolution: int
    dense: int
    dy_shift_max: int
    activations: int
    counted: bool = True

    @property
    def madds(self) -> int:
        """All multiply-adds."""
        return self.convolution + self.dense + self.dy_shift_max


@dataclasses.dataclass(frozen=True, repr=False)
class Profile(Shown):
    """What `profile` returns; prints as a table, in a notebook, too.

    Attributes:
        model: its name.
        input_shape: that was counted for, without the batch.
        layers: in the order in which they are met.
    """

    model: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerProfile, ...]

    @property
    def parameters(self) -> int:
        """That training changes."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def madds(self) -> MAdds:
        """Multiply-adds of one image, in the paper's two parts."""
        return MAdds(
            sum(layer.convolution + layer.dense for layer in self.layers),
            sum(layer.dy_shift_max for layer in self.layers),
        )

    def facts(self) -> list[tuple[str, str]]:
        parts = {
            kind: sum(getattr(layer, kind) for layer in self.layers)
            for kind in ("convolution", "dense", "dy_shift_max")
        }
        split = ", ".join(f"{kind} {count:,}" for kind, count in parts.items() if count)
        activations = [layer.activations for layer in self.layers]
        missed = [f"{layer.name} ({layer.kind})" for layer in self.layers if not layer.counted]
        return [
            ("model", self.model),
            ("input", size_text(self.input_shape)),
            ("parameters", f"{self.parameters:,}"),
            ("MAdds", f"{self.madds.total:,}" + (f" ({split})" if split else "")),
            (
                "activations",
                f"{sum(activations):,}, the largest output {max(activations, default=0):,}",
            ),
            *([("not counted", some_of(missed))] if missed else []),
        ]

    def tables(self) -> list[Table]:
        return [self.table()]

    def table(self) -> Table:
        """A line a layer; its `csv` is text with commas."""
        head = (
            "layer", "class", "output", "parameters", "convolution", "dense", "DY-ShiftMax",
            "activations",
        )  # fmt: skip
        rows = [
            (
                layer.name,
                layer.kind,
                size_text(layer.output_shape),
                layer.parameters,
                layer.convolution,
                layer.dense,
                layer.dy_shift_max,
                layer.activations,
            )
            for layer in self.layers
        ]
        return Table(head, rows)

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it: the sums, and `layers`, a dictionary of the fields of each."""
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            "parameters": self.parameters,
            "madds": self.madds.total,
            "layers": [
                {**dataclasses.asdict(layer), "madds": layer.madds} for layer in self.layers
            ],
        }


def profile(model: keras.Model, input_shape: tuple[int, int, int] | None = None) -> Profile:
    """Says what every layer of a Keras model costs for one image.

    Layers inside of others, as those of a Micro-Block, are counted one by one. Convolutions of any
    rank and dense layers count, and DY-ShiftMax's multiplications apart, as in the paper; other
    layers of Keras are free. Parameters are those that training changes, frozen or not: batch
    normalization's scale and offset are among them, its statistics are not.

    Args:
        model: functional, Sequential or with a `call` of its own, of one input, channels last.
        input_shape: (height, width, channels) to count for; the model's own unless given.

    Raises:
        ValueError: it is no Keras model, the size of the images is not known, or the model's own
            `call` cannot be followed.

    Example:

    >>> costs = profile(micronet_keras.MicroNetM0(input_shape=(96, 96, 3), classes=10))
    >>> costs.parameters, costs.madds.total
    (383020, 919408)
    >>> print(costs.table().csv().splitlines()[1])
    stem,MicroStemConv2D,48 x 48 x 4,42,110592,0,0,9216
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"only a Keras model is counted. Received: {type(model).__name__}")
    own = getattr(model, "input_shape", None) if model.built else None
    if input_shape is None and (own is None or isinstance(own, list | dict)):
        raise ValueError(f"`input_shape` must be given for {model.name}, whose own is {own}")
    shape = tuple((own[1:] if own else ()) if input_shape is None else input_shape)
    if None in shape:
        raise ValueError(
            "`input_shape` must be given for a model of any image size. "
            f"Received: input_shape={input_shape}, model.input_shape={own}"
        )
    seen: set[str] = set()
    layers = []
    for name, layer, inputs, outputs in _walk(model, shape, ""):
        layers.append(_profiled(name, layer, inputs, outputs, first=name not in seen))
        seen.add(name)
    return Profile(model.name, shape, tuple(layers))


_Met = tuple[str, keras.layers.Layer, Any, Any]


def _walk(model: keras.Model, shape: tuple[int, ...], prefix: str) -> Iterator[_Met]:
    """Every layer with the shapes of its inputs and outputs, those in others behind one another."""
    if isinstance(model, keras.Sequential):
        shapes: Any = (None, *shape)
        for layer in model.layers:
            output = layer.compute_output_shape(shapes)
            yield from _met(layer, shapes, output, prefix)
            shapes = output
        return
    inputs = keras.Input(shape, dtype=model.inputs[0].dtype if model.built else None)
    if not hasattr(model, "operations"):
        yield from _called(model, [inputs], {}, prefix)
        return
    met: list[_Met] = []

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if isinstance(layer, keras.layers.Layer) and args:
            met.extend(_met(layer, _shapes(args[0]), _shapes(outputs), prefix, args, kwargs))
        return outputs

    # A copy is made and thrown away: calling the model's own layers would change its graph.
    keras.models.clone_model(model, input_tensors=inputs, call_function=call)
    yield from met


def _met(
    layer: keras.layers.Layer,
    inputs: Any,
    outputs: Any,
    prefix: str,
    args: tuple = (),
    kwargs: dict[str, Any] | None = None,
) -> Iterator[_Met]:
    name = f"{prefix}{layer.name}"
    if isinstance(layer, keras.Sequential) or hasattr(layer, "operations"):
        yield from _walk(layer, tuple(inputs[1:]), f"{name}/")
    else:
        yield from _parts(layer, args or (keras.Input(inputs[1:]),), kwargs or {}, name) or [
            (name, layer, inputs, outputs)
        ]


def _parts(layer: keras.layers.Layer, args: Any, kwargs: dict[str, Any], name: str) -> list[_Met]:
    """What is met in a layer that is made of others; nothing where it is of one piece, or where
    its `call` cannot be followed, as that of a loop."""
    if not _is_made_of_others(layer):
        return []
    try:
        return list(_called(layer, args, kwargs, f"{name}/"))
    except ValueError:
        return []


def _is_made_of_others(layer: keras.layers.Layer) -> bool:
    """Whether what it costs is what the layers in it cost. Those that count themselves, as
    DY-ShiftMax, are of one piece unless others in them count themselves, too."""
    inner = layer._flatten_layers(include_self=False, recursive=False)
    counts = [hasattr(one, "count_madds") for one in inner]
    return any(counts) if hasattr(layer, "count_madds") else bool(counts)


def _called(layer: Any, args: Any, kwargs: dict[str, Any], prefix: str) -> Iterator[_Met]:
    """What is met in the `call` of a layer or a model."""
    inputs = keras.tree.map_structure(
        lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype), list(args)
    )
    flat = keras.tree.flatten(inputs)
    try:
        inner = keras.Model(flat, layer.call(*inputs, **kwargs))
    except Exception as error:  # Of every kind, from somebody's own code.
        raise ValueError(
            f"the layers in {layer.name} ({type(layer).__name__}) cannot be followed: {error}; "
            "give the class a method count_madds(input_shape)"
        ) from error
    met: list[_Met] = []

    def call(operation, *args, **kwargs):
        outputs = operation(*args, **kwargs)
        if isinstance(operation, keras.layers.Layer) and args:
            shapes = _shapes(args[0]), _shapes(outputs)
            met.extend(_met(operation, *shapes, prefix, args, kwargs))
        return outputs

    copies = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in flat]
    keras.models.clone_model(inner, copies, clone_function=lambda one: one, call_function=call)
    yield from met


def _profiled(
    name: str, layer: keras.layers.Layer, inputs: Any, outputs: Any, first: bool
) -> LayerProfile:
    madds = layer_madds(layer, inputs, outputs)
    dense = isinstance(layer, _DENSE)
    shape = outputs[0] if isinstance(outputs, list) else outputs
    kernels = [w for w in layer.weights if len(w.shape) > 1]
    return LayerProfile(
        name=name,
        kind=type(layer).__name__,
        output_shape=tuple(shape[1:]),
        parameters=_parameters(layer) if first else 0,
        convolution=0 if dense else madds.conv_and_linear,
        dense=madds.conv_and_linear if dense else 0,
        dy_shift_max=madds.dy_shift_max,
        activations=math.prod(side or 1 for side in shape[1:]),
        counted=bool(madds.total) or not kernels,
    )


def _parameters(layer: keras.layers.Layer) -> int:
    """Elements of the weights that training changes, or would if the layer were not frozen."""
    statistics = ("moving_mean", "moving_variance", "seed_generator_state", "mean", "variance")
    kept = [
        weight
        for weight in layer.weights
        if weight.trainable
        or (not layer.trainable and weight.path.split("/")[-1] not in statistics)
    ]
    return sum(math.prod(weight.shape) for weight in kept)


def _shapes(tensors: Any) -> Any:
    if isinstance(tensors, tuple | list):
        return [tensor.shape for tensor in tensors]
    return tensors.shape
