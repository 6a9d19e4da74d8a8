"""A graph together with the range of every tensor: all that conversion needs, in one file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from micronet_keras.lower import graph as nodes
from micronet_keras.lower.emit import Range
from micronet_keras.lower.graph import RELU6, Graph, Node
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing
from micronet_mcu.image_input import check_pixels
from micronet_mcu.shown import Shown, some_of

_NODE_TYPES = {
    kind.__name__: kind
    for kind in vars(nodes).values()
    if isinstance(kind, type) and issubclass(kind, Node)
}


@dataclasses.dataclass(frozen=True, repr=False)
class QuantizedGraph(Shown):
    """What quantization leaves and conversion takes.

    Attributes:
        graph: the lowered graph; weights are float and not yet rounded.
        ranges: (low, high) of every tensor that has a calibrated range, by its name.
        class_names: what the outputs mean; may be empty.
        sample: one image as the graph takes it, for the test vector: uint8 [height, width,
            channels] pixels, or float32 where it takes other values; None when there is none.
        task: name of the task that the model is for; empty where it is not known.
        signal_to_noise: of the outputs in int8 against float, in dB, on a few of the calibration
            images; 25 and more is a sound model. None when it was not measured.
        doubts: what is odd about the calibration images, a sentence each.
    """

    graph: Graph
    ranges: dict[str, Range]
    class_names: tuple[str, ...] = ()
    sample: np.ndarray | None = None
    task: str = ""
    signal_to_noise: float | None = None
    doubts: tuple[str, ...] = ()

    def facts(self) -> list[tuple[str, str]]:
        decibels = self.signal_to_noise
        return [
            *self.graph.facts(),
            ("ranges", f"of {len(self.ranges)} tensors"),
            *([("classes", some_of(self.class_names))] if self.class_names else []),
            *([("task", self.task)] if self.task else []),
            ("int8 against float", "not measured" if decibels is None else f"{decibels:.1f} dB"),
            *(("", doubt) for doubt in self.doubts),
        ]

    def save(self, path: str | os.PathLike, force: bool = True) -> None:
        """Writes one ``.npz`` file; without `force` no other is replaced.

        Raises:
            UserError: the file cannot be written, or exists and `force` is not set.
        """
        arrays: dict[str, np.ndarray] = {}
        listing = {
            **pack_graph(self.graph, arrays),
            "ranges": self.ranges,
            "class_names": self.class_names,
            "task": self.task,
            "signal_to_noise": self.signal_to_noise,
            "doubts": self.doubts,
        }
        if self.sample is not None:
            arrays["sample"] = self.sample
        arrays["listing"] = np.frombuffer(json.dumps(listing).encode(), np.uint8)
        with replacing(path, force) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    @staticmethod
    def load(path: str | os.PathLike) -> QuantizedGraph:
        """Reads what `save` wrote.

        Raises:
            UserError: there is no such file, or it is not one of ours, or it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                listing = json.loads(arrays["listing"].tobytes())
                graph = unpack_graph(listing, arrays)
                sample = arrays.get("sample")
            ranges = {
                name: (float(low), float(high)) for name, (low, high) in listing["ranges"].items()
            }
            if not all(
                math.isfinite(low) and low < high < math.inf for low, high in ranges.values()
            ):
                raise ValueError("a range is empty")
            wanted = np.float32 if graph.input.pixel_scale is None else np.uint8
            if sample is not None and (sample.dtype, sample.shape) != (wanted, graph.input.shape):
                raise ValueError("the sample is no image for this model")
            decibels = listing.get("signal_to_noise")
            return QuantizedGraph(
                graph,
                ranges,
                tuple(map(str, listing["class_names"])),
                sample,
                str(listing.get("task", "")),
                None if decibels is None else float(decibels),
                tuple(map(str, listing.get("doubts", ()))),
            )
        except FileNotFoundError as error:
            raise UserError(f"{path}: no such file; micronet quantize writes it") from error
        except Exception as error:  # Of every kind, for a damaged archive, array or listing.
            other = _known_file(path)
            if other:
                raise UserError(f"{path} is not a quantized graph but {other}") from error
            raise UserError(
                f"{path} is not a quantized graph or is damaged ({error}); "
                "write it again with micronet quantize"
            ) from error


def pack_graph(graph: Graph, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The graph as JSON takes it; its arrays go into `arrays`, each under a name of its own."""
    return {
        "nodes": [_pack(node, arrays) for node in graph],
        "outputs": list(graph.outputs),
        "packed_classes": graph.packed_classes,
    }


def unpack_graph(listing: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Graph:
    """The graph that `pack_graph` has packed."""
    graph = Graph(listing.get("packed_classes"))
    for packed in listing["nodes"]:
        graph.add(_unpack(packed, arrays))
    graph.outputs = [graph[name].name for name in listing["outputs"]]
    return graph


def as_quantized(given: Any) -> QuantizedGraph:
    """The graph of what quantization returned, or of the file in which it was saved.

    Raises:
        UserError: it is nothing of that, or the file is none.
    """
    if isinstance(given, QuantizedGraph):
        return given
    if isinstance(given, str | os.PathLike):
        return QuantizedGraph.load(given)
    if hasattr(given, "quantized_graph"):
        return given.quantized_graph()
    raise UserError(
        "only what is quantized becomes int8; first call post_training_quantize(model, images) "
        f"or quantize_aware(model, images). Received: {type(given).__name__}"
    )


def _known_file(path: str | os.PathLike) -> str:
    """What a file of another step is, with what it is for; empty for any other."""
    with contextlib.suppress(Exception):  # Of every kind, for a damaged archive.
        with open(path, "rb") as file:
            if file.read(8)[4:] == b"TFL3":
                return "a flatbuffer, which is what conversion makes"
        with zipfile.ZipFile(path) as archive:
            if "model.weights.h5" in archive.namelist():
                return "a Keras model; quantize it first (micronet quantize)"
    return ""


def preprocess(graph: Graph, images: np.ndarray | tf.Tensor) -> tf.Tensor:
    """`prepare` for users.

    Raises:
        UserError: the graph takes pixels, and these are none; not inside of a dataset's `map`.
    """
    if graph.input.pixel_scale is not None and not tf.is_symbolic_tensor(images):
        check_pixels(np.asarray(images))
    return prepare(graph, images)


def prepare(graph: Graph, images: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Images as the graph takes them: float32, pixels scaled as the graph's input says."""
    node = graph.input
    images = tf.cast(images, tf.float32)
    if node.pixel_scale is None:
        return images
    return (images - node.pixel_zero) * node.pixel_scale


def _pack(node: Node, arrays: dict[str, np.ndarray]) -> dict:
    packed = {"type": type(node).__name__}
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if isinstance(value, np.ndarray):
            key = f"array{len(arrays)}"
            arrays[key] = value
            value = {"array": key}
        packed[field.name] = value
    return packed


def _unpack(packed: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Node:
    values: dict[str, Any] = {}
    for name, value in packed.items():
        if isinstance(value, dict):
            value = arrays[value["array"]]
            if value.dtype.kind not in "if" or not np.isfinite(value).all():
                raise ValueError(f"{name} of {packed['name']} holds no finite numbers")
        values[name] = tuple(value) if isinstance(value, list) else value
    if "relu6" in values:  # As it was called before there were other bounds.
        values["clip"] = RELU6 if values.pop("relu6") else None
    return _NODE_TYPES[values.pop("type")](**values)
