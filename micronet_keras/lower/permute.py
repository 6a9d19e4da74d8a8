"""Channel permutations folded into the weights around them.

A permutation costs nothing when it is only remembered: the pass below keeps, for every tensor, the
order in which its channels happen to be stored, and rewrites the weights that read it. A GATHER is
left only where a grouped convolution needs channels together that are stored apart, or where two
stored orders meet in a sum.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from micronet_keras.lower.graph import (
    AveragePool,
    Binary,
    Bound,
    Concatenate,
    Conv,
    ConvTranspose,
    Crop,
    Dense,
    DepthwiseConv,
    DYShiftMax,
    Flatten,
    Gather,
    GlobalAveragePool,
    Graph,
    HardSwish,
    Input,
    LeakyRelu,
    MaxPool,
    Node,
    Pad,
    Reshape,
    ResizeBilinear,
    Sigmoid,
    Softmax,
    Tanh,
    Transpose,
)

# What does the same to every channel: the stored order stays as it is.
_CHANNELWISE = (
    AveragePool
    | Bound
    | Crop
    | GlobalAveragePool
    | HardSwish
    | LeakyRelu
    | MaxPool
    | Pad
    | ResizeBilinear
    | Sigmoid
    | Tanh
)


def inverse(permutation: np.ndarray) -> np.ndarray:
    """``inverse(p)[p] == arange``."""
    return np.argsort(permutation)


def fold_permutations(graph: Graph) -> Graph:
    """Returns an equal graph with as few Gather nodes as the stored orders allow."""
    return _Folding(graph).result


class _Folding:
    def __init__(self, graph: Graph):
        self.result = Graph(graph.packed_classes)
        self._channels = graph.channels()
        # Stored channel i of node n is channel self._order[n][i] of the original graph.
        self._order: dict[str, np.ndarray] = {}
        self._stored: dict[str, str] = {}
        self._gathers: dict[tuple[str, bytes], str] = {}
        for node in graph:
            self._fold(node)
        self.result.outputs = [self._plain(name) for name in graph.outputs]

    def _fold(self, node: Node) -> None:
        channels = self._channels[node.name]
        match node:
            case Gather(inputs=(source,)) if channels != self._channels[source]:
                self._stored[node.name] = self._arranged(source, node.indices)
                self._order[node.name] = np.arange(channels)
            case Gather(inputs=(source,)):
                self._stored[node.name] = self._stored[source]
                self._order[node.name] = inverse(node.indices)[self._order[source]]
            case _ if isinstance(node, _CHANNELWISE):
                self._keep(node, self._order[node.inputs[0]])
            case DepthwiseConv(inputs=(source,)):
                order = self._order[source]
                multiplier = node.kernel.shape[3]
                spread = (order[:, None] * multiplier + np.arange(multiplier)).ravel()
                kernel, bias = node.kernel[:, :, order], node.bias[spread]
                self._keep(node, spread, kernel=kernel, bias=bias)
            case DYShiftMax(inputs=(source,)):
                order = self._order[source]
                self._keep(
                    node,
                    order,
                    shift=inverse(order)[node.shift[order]],
                    squeeze_kernel=node.squeeze_kernel[order],
                    kernels=node.kernels[:, :, order],
                    biases=node.biases[:, order],
                )
            case Dense(inputs=(source,)):
                kernel = node.kernel[self._order[source]]
                self._keep(node, np.arange(channels), kernel=kernel)
            case ConvTranspose(inputs=(source,)):
                kernel = node.kernel[..., self._order[source]]
                self._keep(node, np.arange(channels), kernel=kernel)
            case Conv():
                self._fold_conv(node)
            case Binary(inputs=(first, second)) if self._channels[first] == self._channels[second]:
                self._put_arranged(node, [self._order[first]] * 2, self._order[first])
            case Concatenate(inputs=sources, axis=2):
                orders = [self._order[name] for name in sources]
                starts = np.cumsum([0, *map(len, orders)])
                both = zip(orders, starts, strict=False)
                order = np.concatenate([order + start for order, start in both])
                self._put_arranged(node, orders, order)
            case Concatenate(inputs=sources):
                order = self._order[sources[0]]
                self._put_arranged(node, [order] * len(sources), order)
            case Reshape(inputs=(source,)) if node.shape[:-1] == (1, 1):
                # A flattened map: the channels of each place stay as they are stored.
                order = self._order[source]
                places = np.arange(channels // len(order))[:, None]
                self._keep(node, (places * len(order) + order).ravel())
            case Input():
                self._put(node, np.arange(channels))
            case Binary() | Flatten() | Reshape() | Softmax() | Transpose():
                plain = [np.arange(self._channels[name]) for name in node.inputs]
                self._put_arranged(node, plain, np.arange(channels))
            case _:
                raise ValueError(f"No rule for this node. Received: {node.name!r}, {type(node)}")

    def _fold_conv(self, node: Conv) -> None:
        source = node.inputs[0]
        groups, (inputs, outputs) = node.groups, node.kernel.shape[2:]
        outputs //= groups
        order = self._order[source].reshape(groups, inputs)
        members = order // inputs
        if (members != members[:, :1]).any():
            # Some stored group mixes channels of several groups: only a real gather helps.
            order = np.arange(groups * inputs).reshape(groups, inputs)
            members = order // inputs
            stored = self._plain(source)
        else:
            stored = self._stored[source]
        kernel = node.kernel.reshape(*node.kernel.shape[:3], groups, outputs)
        kernel = np.concatenate(
            [
                kernel[:, :, channels % inputs, group]
                for channels, group in zip(order, members[:, 0], strict=True)
            ],
            axis=-1,
        )
        produced = (members[:, :1] * outputs + np.arange(outputs)).ravel()
        node = dataclasses.replace(node, inputs=(stored,), kernel=kernel, bias=node.bias[produced])
        self._put(node, produced)

    def _keep(self, node: Node, order: np.ndarray, **changes) -> None:
        stored = (self._stored[node.inputs[0]],)
        self._put(dataclasses.replace(node, inputs=stored, **changes), order)

    def _put_arranged(self, node: Node, orders: list[np.ndarray], order: np.ndarray) -> None:
        stored = tuple(map(self._arranged, node.inputs, orders))
        self._put(dataclasses.replace(node, inputs=stored), order)

    def _put(self, node: Node, order: np.ndarray) -> None:
        self._stored[node.name] = self.result.add(node)
        self._order[node.name] = order

    def _plain(self, name: str) -> str:
        return self._arranged(name, np.arange(self._channels[name]))

    def _arranged(self, name: str, order: np.ndarray) -> str:
        """The name of a node that stores `name` in `order`; a Gather is added when none does."""
        stored, indices = self._stored[name], inverse(self._order[name])[order]
        if np.array_equal(indices, np.arange(len(self._order[name]))):
            return stored
        key = (stored, indices.tobytes())
        if key not in self._gathers:
            gather = Gather(f"{stored}/gather{len(self._gathers)}", (stored,), indices)
            self._gathers[key] = self.result.add(gather)
        return self._gathers[key]
