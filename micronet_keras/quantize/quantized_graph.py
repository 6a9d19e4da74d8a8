"""A graph together with the range of every tensor: all that conversion needs, in one file."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from micronet_keras.lower import graph as nodes
from micronet_keras.lower.emit import Range
from micronet_keras.lower.graph import RELU6, Graph, Node
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing

_NODE_TYPES = {
    kind.__name__: kind
    for kind in vars(nodes).values()
    if isinstance(kind, type) and issubclass(kind, Node)
}


@dataclasses.dataclass(frozen=True)
class QuantizedGraph:
    """What quantization leaves and conversion takes.

    Attributes:
        graph: the lowered graph; weights are float and not yet rounded.
        ranges: (low, high) of every tensor that has a calibrated range, by its name.
        class_names: what the outputs mean; may be empty.
        sample: one image, uint8 [height, width, 3], for the test vector; None when there is none.
        task: name of the task that the model is for; empty where it is not known.
    """

    graph: Graph
    ranges: dict[str, Range]
    class_names: tuple[str, ...] = ()
    sample: np.ndarray | None = None
    task: str = ""

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
            if sample is not None and (
                sample.dtype != np.uint8 or sample.shape != graph.input.shape
            ):
                raise ValueError("the sample is no image for this model")
            class_names = tuple(map(str, listing["class_names"]))
            return QuantizedGraph(graph, ranges, class_names, sample, str(listing.get("task", "")))
        except FileNotFoundError as error:
            raise UserError(f"{path}: no such file; scripts/quantize.py writes it") from error
        except Exception as error:  # Of every kind, for a damaged archive, array or listing.
            raise UserError(
                f"{path} is not a quantized graph or is damaged ({error}); "
                "write it again with scripts/quantize.py"
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
