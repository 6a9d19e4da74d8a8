"""Where an int8 model loses what the float model knows: tensor by tensor, on real images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tqdm import tqdm

from micronet_keras.lower import lower
from micronet_keras.lower.emit import Range, coefficient_names, hidden_name
from micronet_keras.lower.graph import (
    Conv,
    ConvTranspose,
    Dense,
    DepthwiseConv,
    DYShiftMax,
    Graph,
    Node,
)
from micronet_keras.lower.tensorflow import observe, run, run_with
from micronet_keras.quantize.calibrate import few_of
from micronet_keras.quantize.quantized_graph import QuantizedGraph, prepare
from micronet_keras.tasks.figures import signal_to_noise
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing
from micronet_mcu.graph.read import read_model
from micronet_mcu.image_input import ImageInput
from micronet_mcu.runner import image_of
from micronet_mcu.shown import Shown, Table
from micronet_mcu.tflite.model import Model, Tensor
from micronet_mcu.to_tflm.interpreter import refuse_custom_operators

# A tensor with less of the noise than this is not worth a word.
_NOTABLE = 0.1
# Shares of a tensor's values, and of its 256 steps.
_MUCH_CLIPPED, _LITTLE_USED = 0.005, 0.25
# So many dB below what rounding explains, something else is wrong.
_UNEXPLAINED = 6.0
_SHOWN = 15
# So much of a model's layers are in what was made of it, other operators fused or not.
_KNOWN = 0.75


@dataclasses.dataclass(frozen=True)
class TensorNoise:
    """One tensor of the int8 model beside the float model's.

    Attributes:
        name: of the layer, or of a part of it.
        kind: "activations" or "weights".
        signal_to_noise: of this tensor as the int8 model has it against float, in dB: what the
            layers before it have lost is in it. inf when both are equal.
        lost: how many dB less than the worst tensor that the layer reads; None for weights and for
            the input.
        clipped: share of the float values that the range does not hold.
        used: share of the 256 steps between the smallest and the largest value that was met.
        share: of the noise of the outputs, with this tensor rounded alone and all others in float,
            in that of all tensors together; 0 to 1.
        range: the real values of the smallest and the largest stored number.
        foreign: weights that differ from the model's by more than rounding: they are of another.
    """

    name: str
    kind: str
    signal_to_noise: float
    lost: float | None
    clipped: float
    used: float
    share: float
    range: Range
    foreign: bool = False


@dataclasses.dataclass(frozen=True, repr=False)
class Diagnosis(Shown):
    """What `debug_quantization` found; prints as a table, in a notebook, too.

    Attributes:
        tensors: in the order of the network, weights behind the activations that they give.
        signal_to_noise: of the outputs in int8 against float, in dB.
        explained: the same, if there were only the noise of the single tensors, in dB.
        images: how many were looked at.
        advice: what follows from the figures, a sentence each.
    """

    tensors: tuple[TensorNoise, ...]
    signal_to_noise: float
    explained: float
    images: int
    advice: tuple[str, ...]

    @property
    def worst(self) -> list[TensorNoise]:
        """The tensors, those with the largest share of the noise first."""
        return sorted(self.tensors, key=lambda tensor: -tensor.share)

    def facts(self) -> list[tuple[str, str]]:
        return [
            ("int8 against float", f"{self.signal_to_noise:.1f} dB on {self.images} images"),
            ("rounding explains", f"{self.explained:.1f} dB"),
            *(("advice" if i == 0 else "", text) for i, text in enumerate(self.advice)),
        ]

    def tables(self) -> list[Table]:
        table = self.table()
        return [dataclasses.replace(table, rows=table.rows[:_SHOWN], title="the worst first")]

    def table(self) -> Table:
        """All tensors, the worst first; its `csv` is text with commas."""
        head = ("tensor", "of", "noise share, %", "dB", "dB lost", "clipped, %", "range used, %")
        rows = [
            (
                tensor.name,
                tensor.kind,
                100 * tensor.share,
                min(tensor.signal_to_noise, 99.9),
                tensor.lost,
                100 * tensor.clipped,
                100 * tensor.used,
            )
            for tensor in self.worst
        ]
        return Table(head, rows)

    def plot(self, path: str | os.PathLike | None = None) -> Figure:
        """A figure: the ratio along the network, and the tensors with most of the noise.

        Args:
            path: also written there, as PNG or what the suffix says; None is not written.

        Raises:
            UserError: the file cannot be written.
        """
        along = [tensor for tensor in self.tensors if tensor.kind == "activations"]
        worst = self.worst[:_SHOWN][::-1]
        figure = Figure(figsize=(12, 4.8), layout="constrained")
        FigureCanvasAgg(figure)
        line, bars = figure.subplots(1, 2)
        line.plot([min(t.signal_to_noise, 60) for t in along], marker=".", color="tab:blue")
        line.set(xlabel="tensor, from input to output", ylabel="int8 against float (dB)")
        line.grid(alpha=0.3)
        colours = ["tab:orange" if t.kind == "weights" else "tab:blue" for t in worst]
        bars.barh(range(len(worst)), [100 * t.share for t in worst], color=colours)
        names = [t.name if t.kind == "activations" else f"{t.name}, weights" for t in worst]
        bars.set_yticks(range(len(worst)), names, fontsize=8)
        bars.set(xlabel="share of the outputs' noise (%)")
        if path is not None:
            with replacing(path) as temporary:
                figure.savefig(temporary, dpi=120)
        return figure


def debug_quantization(model: Any, flatbuffer: Any, images: Any, count: int = 16) -> Diagnosis:
    """Compares an int8 model with its float model, tensor by tensor.

    The flatbuffer runs on TensorFlow Lite's reference kernels, which give what TensorFlow Lite
    Micro gives but for a step here and there and let one look at every tensor.

    Args:
        model: the Keras model that was quantized, a lowered graph or a `QuantizedGraph`.
        flatbuffer: what `convert` made of it, or its path.
        images: as of `calibrate`; real ones, best others than those of the calibration.
        count: how many of them are looked at; more take longer.

    Returns:
        The `Diagnosis`.

    Raises:
        UserError: the flatbuffer is not of this model, has custom operators, or the images are not
            what it takes.

    Example:

    >>> flatbuffer = micronet_keras.convert(quantized)
    >>> found = debug_quantization(quantized, flatbuffer, images)
    >>> found.worst[0].share <= 1, found.signal_to_noise > 0
    (True, True)
    """
    graph = _graph_of(model)
    parsed = read_model(flatbuffer)
    refuse_custom_operators(parsed)
    pictures = few_of(images, graph, count)
    image = prepare(graph, pictures)
    floats = {name: value.numpy() for name, value in observe(graph, image).items()}
    floats = {graph.input.name: image.numpy(), **floats}
    tensors = _tensors_by_name(graph, parsed)
    known = [name for name in floats if name in tensors]
    if (
        len(known) - 1 < _KNOWN * (len(floats) - 1)
        or image_of(parsed).shape[1:] != graph.input.shape
    ):
        raise UserError(
            "the flatbuffer has none of the layers of this model; give what convert made of it, "
            "without --fuse and --groups"
        )
    stored = _int8_values(parsed, pictures)
    expected = np.concatenate([np.ravel(y) for y in run(graph, image)])

    ranges = {name: _range(tensors[name]) for name in known}
    own, files = _kernels_of(graph), _stored_kernels(graph, parsed)

    @tf.function(autograph=False)
    def outputs(image, chosen):
        results = run_with(graph, image, chosen, ranges, files)
        return tf.concat([tf.reshape(y, [-1]) for y in results], axis=0)

    each = [*((name, "activations") for name in ranges), *((name, "weights") for name in files)]
    alone = {
        which: float(np.sum(np.square(outputs(image, tf.constant(place)).numpy() - expected)))
        for place, which in enumerate(
            tqdm(each, desc="tensors", leave=False, delay=2, disable=None)
        )
    }
    total = sum(alone.values()) or 1.0
    ratios = {
        name: signal_to_noise(floats[name], _real(stored[tensors[name].index], tensors[name]))
        for name in known
    }
    rows = []
    for name in known:
        value, (low, high) = floats[name], ranges[name]
        step = (high - low) / 255
        raw = stored[tensors[name].index].astype(int)
        rows.append(
            TensorNoise(
                name=name,
                kind="activations",
                signal_to_noise=ratios[name],
                lost=_lost(graph, name, ratios),
                clipped=float(np.mean((value < low - step) | (value > high + step))),
                used=(int(raw.max()) - int(raw.min())) / 255,
                share=alone[name, "activations"] / total,
                range=(low, high),
            )
        )
        if name in files:
            rows.append(_weight_row(name, own[name], files[name], parsed, alone, total))
    rows += [
        _weight_row(name, own[name], files[name], parsed, alone, total)
        for name in files
        if name not in known
    ]
    measured = _output_ratio(parsed, stored, expected, len(pictures))
    power = float(np.sum(np.square(expected)))
    explained = 10 * np.log10(power / total) if power else 0.0
    advice = _advice(rows, measured, explained)
    return Diagnosis(tuple(rows), measured, float(explained), len(pictures), advice)


def _graph_of(model: Any) -> Graph:
    if isinstance(model, Graph):
        return model
    if isinstance(model, QuantizedGraph):
        return model.graph
    if hasattr(model, "quantized_graph"):
        return model.quantized_graph().graph
    return lower(model)


def _tensors_by_name(graph: Graph, model: Model) -> dict[str, Tensor]:
    """The activations of the flatbuffer by the names that `observe` gives them."""
    found = {}
    for operator in model.operators:
        for index in operator.outputs:
            tensor = model.tensors[index]
            # The products of DY-ShiftMax have a scope of another name than their range.
            found[tensor.name] = tensor
            if tensor.name.endswith("/product"):
                found[f"{tensor.name.removesuffix('/product')}*x"] = tensor
    quantized = {name: t for name, t in found.items() if t.dtype == np.int8 and len(t.scale) == 1}
    return {**quantized, graph.input.name: image_of(model)}


def _int8_values(model: Model, images: np.ndarray) -> dict[int, np.ndarray]:
    """What every activation holds for these images, by the tensor's index."""
    interpreter = tf.lite.Interpreter(
        model_content=model.raw,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    wanted = [*model.inputs, *(index for op in model.operators for index in op.outputs)]
    image = ImageInput(image_of(model)).stored(images)
    values: dict[int, list[np.ndarray]] = {index: [] for index in wanted}
    for each in image:
        interpreter.set_tensor(model.inputs[0], each[None])
        interpreter.invoke()
        for index in wanted:
            values[index].append(interpreter.get_tensor(index))
    return {index: np.concatenate(each) for index, each in values.items()}


def _kernels_of(graph: Graph) -> dict[str, np.ndarray]:
    """The kernels by the name that `emit` gives a builder."""
    found: dict[str, np.ndarray] = {}
    for node in graph:
        if isinstance(node, Conv | ConvTranspose | DepthwiseConv | Dense):
            found[node.name] = node.kernel
        elif isinstance(node, DYShiftMax):
            found[hidden_name(node)] = node.squeeze_kernel
            found |= dict(zip(coefficient_names(node), node.kernels, strict=True))
    return found


# From the axes of the flatbuffer to those of the graph's kernels.
_AXES: dict[type[Node], tuple[int, ...]] = {Conv: (1, 2, 3, 0), ConvTranspose: (1, 2, 0, 3)}


def _stored_kernels(graph: Graph, model: Model) -> dict[str, np.ndarray]:
    """The same as the flatbuffer has them, of the layers whose kernels can be told."""
    by_name = {tensor.name: tensor for tensor in model.tensors}
    found = {}
    for name, kernel in _kernels_of(graph).items():
        tensor = by_name.get(f"{name}/weights")
        if tensor is None or tensor.data is None or tensor.size != kernel.size:
            continue
        values = _dequantized(tensor)
        if kernel.ndim == 2:
            values = values.reshape(kernel.shape[::-1]).T
        elif name in graph and type(graph[name]) in _AXES:
            values = values.transpose(_AXES[type(graph[name])])
        found[name] = values.reshape(kernel.shape)
    return found


def _dequantized(tensor: Tensor) -> np.ndarray:
    assert tensor.data is not None
    shape = [1] * len(tensor.shape)
    if len(tensor.scale) > 1:
        shape[tensor.quantized_dimension] = len(tensor.scale)
    scale, zero = tensor.scale.reshape(shape), tensor.zero_point.reshape(shape)
    return (tensor.data.astype(np.float64) - zero) * scale


def _range(tensor: Tensor) -> Range:
    scale, zero = float(tensor.scale[0]), int(tensor.zero_point[0])
    return scale * (-128 - zero), scale * (127 - zero)


def _real(raw: np.ndarray, tensor: Tensor) -> np.ndarray:
    return (raw.astype(np.float64) - int(tensor.zero_point[0])) * float(tensor.scale[0])


def _lost(graph: Graph, name: str, ratios: Mapping[str, float]) -> float | None:
    """dB below the worst of what the node reads, through what keeps its input's values."""
    if name not in graph:
        return None
    before: list[float] = []
    waiting = list(graph[name].inputs)
    while waiting:
        source = waiting.pop()
        if source in ratios:
            before.append(ratios[source])
        else:
            waiting += graph[source].inputs
    if not before:
        return None
    lost = min(before) - ratios[name]
    return float(lost) if np.isfinite(lost) else None


def _weight_row(
    name: str,
    kernel: np.ndarray,
    stored: np.ndarray,
    model: Model,
    alone: Mapping[tuple[str, str], float],
    total: float,
) -> TensorNoise:
    tensor = next(t for t in model.tensors if t.name == f"{name}/weights")
    assert tensor.data is not None
    raw = tensor.data.astype(int)
    # Half a step is what rounding does; a whole one leaves room for other ways to find the scale.
    foreign = float(np.abs(stored - kernel).max()) > float(tensor.scale.max())
    return TensorNoise(
        name=name,
        kind="weights",
        signal_to_noise=signal_to_noise(kernel, stored),
        lost=None,
        clipped=0.0,
        used=(int(raw.max()) - int(raw.min())) / 255,
        share=alone[name, "weights"] / total,
        range=(float(stored.min()), float(stored.max())),
        foreign=foreign,
    )


def _output_ratio(
    model: Model, stored: Mapping[int, np.ndarray], expected: np.ndarray, count: int
) -> float:
    parts = []
    for index in model.outputs:
        tensor, raw = model.tensors[index], stored[index]
        parts.append(np.ravel(_real(raw, tensor) if len(tensor.scale) else raw))
    found = np.concatenate(parts)
    if found.shape != expected.shape:
        raise UserError(
            f"the flatbuffer gives {found.size // count} numbers an image, the model "
            f"{expected.size // count}; give what convert made of it"
        )
    return signal_to_noise(expected, found)


def _advice(rows: list[TensorNoise], measured: float, explained: float) -> tuple[str, ...]:
    found = []
    for row in sorted(rows, key=lambda row: -row.share):
        if row.foreign:
            found.append(
                f"the weights of {row.name} are not this model's: {row.signal_to_noise:.1f} dB; "
                "convert the model again"
            )
        if row.share < _NOTABLE:
            continue
        text = f"{row.name} alone gives {row.share:.0%} of the noise"
        low, high = row.range
        if row.clipped > _MUCH_CLIPPED:
            found.append(
                f"{text}: {row.clipped:.1%} of its values are beyond its range, {low:.3g} to "
                f"{high:.3g}; calibrate with images like these"
            )
        elif row.kind == "activations" and row.used < _LITTLE_USED:
            found.append(
                f"{text}: {row.used:.0%} of its steps are used, its range of {low:.3g} to "
                f"{high:.3g} is too wide; calibrate with images like these"
            )
        elif row.kind == "weights" and not row.foreign:
            found.append(f"{text}, by its weights: quantization-aware training evens them out")
        elif not row.foreign:
            found.append(f"{text}: quantization-aware training makes the rest less sensitive to it")
    if explained - measured > _UNEXPLAINED and not any(row.foreign for row in rows):
        worst = max((r for r in rows if r.lost is not None), key=lambda row: row.lost or 0.0)
        found.append(
            f"rounding explains {explained:.1f} dB and there are {measured:.1f}: something else is "
            f"wrong, most is lost in {worst.name} ({worst.lost:.1f} dB)"
        )
    if not found:
        largest = max((row.share for row in rows), default=0.0)
        found.append(
            f"the noise is spread evenly, no tensor has more than {largest:.0%}; "
            + (
                "nothing is to be done"
                if measured >= 20
                else "quantization-aware training helps, and so do wider layers"
            )
        )
    return tuple(found)
