"""A Keras model as a deployable graph."""

from __future__ import annotations

import dataclasses
from collections import Counter

import keras
import numpy as np

from micronet_keras import layers
from micronet_keras.lower import folding
from micronet_keras.lower.graph import (
    Add,
    Conv,
    Dense,
    DepthwiseConv,
    DYShiftMax,
    Flatten,
    Gather,
    GlobalAveragePool,
    Graph,
    HardSwish,
    Input,
    Relu6,
    ResizeBilinear,
    Softmax,
)
from micronet_keras.lower.permute import fold_permutations, fuse_relu6
from micronet_keras.models import imagenet


def lower(model: keras.Model, normalization: str | None = "imagenet") -> Graph:
    """Turns a functional Keras model into the graph that is quantized and deployed.

    Batch norms, dropouts and channel shuffles vanish, ReLU6 becomes part of what it follows, and
    padding becomes SAME. In float the graph computes what the model computes.

    Args:
        model: built of this package's layers and of Conv2D, DepthwiseConv2D (padding "same", or
            kernel size 1), Dense, BatchNormalization, ReLU(6), Activation ("relu6", "hard_swish",
            "softmax", "linear"), Softmax, Add, GlobalAveragePooling2D, Flatten, Dropout,
            UpSampling2D(interpolation="bilinear"); of a fixed image size.
        normalization: "imagenet" when the model takes what `preprocess_input` returns: the graph
            then takes pixels, and the int8 input is ``pixel - 128``. "pixels" when the model takes
            pixels, 0 to 255, itself: the same int8 input. None: the graph takes what the model
            takes, of any range.

    Returns:
        The graph. Its outputs are the model's, in order; of a `MicroNetObjectDetector` they are its
        `raw_outputs`, two for each level.

    Raises:
        ValueError: a layer cannot be lowered, by its name and with what could take its place; the
            image size is open; a layer is used twice.

    Example:

    >>> graph = lower(micronet_keras.MicroNetM0(input_shape=(96, 96, 3), classes=10))
    >>> graph.channels()[graph.outputs[0]]
    10
    """
    graph = _Lowering(model).graph
    if normalization == "imagenet":
        folding.take_pixels(graph, imagenet.MEAN, imagenet.STD)
    elif normalization == "pixels":
        graph.replace(dataclasses.replace(graph.input, pixel_scale=1.0, pixel_zero=0))
    elif normalization is not None:
        raise ValueError(
            f'normalization must be "imagenet", "pixels" or None. Received: {normalization!r}'
        )
    return fuse_relu6(fold_permutations(graph))


class _Lowering:
    def __init__(self, model: keras.Model):
        operations = _operations(model)
        outputs, packed_classes = model.outputs, None
        if isinstance(operations[-1], layers.PackLevels):
            # Joined outside of the network, where int8 needs no copy.
            *operations, packing = operations
            outputs, packed_classes = packing.input, packing.classes
        self.graph = Graph(packed_classes)
        # Keras tensors are followed by identity: layer.output of one is an entry of layer.input of
        # the next.
        self._names: dict[int, str] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._readers = Counter(
            id(tensor) for operation in operations for tensor in _inputs(operation)
        )
        for operation in operations:
            self._lower(operation)
        self.graph.outputs = [self._output(tensor) for tensor in outputs]

    def _lower(self, layer) -> None:
        name, inputs = layer.name, [self._name(tensor) for tensor in _inputs(layer)]
        match layer:
            case keras.layers.InputLayer():
                outputs = [self._image(layer)]
            case layers.MicroBlockA() | layers.MicroBlockB() | layers.MicroBlockC():
                outputs = self._block(layer, inputs)
            case keras.layers.Add():
                outputs = [self._add(name, inputs)]
            case keras.layers.BatchNormalization():
                outputs = [self._batch_norm(layer, *inputs)]
            case _ if len(inputs) == 1:
                outputs = [self._single(layer, name, *inputs)]
            case _:
                raise _unsupported(layer, name)
        for tensor, output in zip(keras.tree.flatten(layer.output), outputs, strict=True):
            self._names[id(tensor)] = output

    def _image(self, layer) -> str:
        batch, *shape = layer.batch_shape
        if len(shape) != 3 or None in shape:
            raise ValueError(
                "Lowering needs one image of a fixed size; build the model with "
                "input_shape=(height, width, 3). "
                f"Received: input {layer.name!r} of shape {layer.batch_shape}"
            )
        self._sizes[layer.name] = tuple(shape[:2])
        return self.graph.add(Input(layer.name, (), tuple(shape)))

    def _block(self, block, inputs: list[str]) -> list[str]:
        squeezed = inputs[0]
        for layer in block.squeeze_path:
            squeezed = self._single(layer, f"{block.name}/{layer.name}", squeezed)
        if block.adds_shortcut:
            squeezed = self._add(f"{block.name}/add", [squeezed, inputs[-1]])
        expanded = squeezed
        for layer in block.expand_path:
            expanded = self._single(layer, f"{block.name}/{layer.name}", expanded)
        return [expanded, squeezed] if getattr(block, "return_squeezed", False) else [expanded]

    def _single(self, layer, name: str, x: str) -> str:
        """One layer with one input and one output."""
        match layer:
            case layers.MicroStemConv2D() | layers.MicroFactorizedDepthwiseConv2D():
                return self._factorized(layer, x, name)
            case layers.MicroFactorizedPointwiseConv2D():
                node = Conv(name, (x,), _weights(layer.kernel), np.zeros(layer.filters))
                node = folding.scaled(node, *folding.batch_norm_affine(layer.normalization))
                return self._put(node, groups=layer.groups)
            case layers.DYShiftMax():
                return self._dy_shift_max(layer, x, name)
            case layers.ChannelShuffle():
                channels = self.graph.channels()[x]
                indices = np.arange(channels).reshape(layer.groups, -1).T.ravel()
                return self._put(Gather(name, (x,), indices))
            case keras.layers.Conv2D() | keras.layers.DepthwiseConv2D():
                return self._stock_conv(layer, x, name)
            case keras.layers.Dense():
                dense = Dense(name, (x,), _weights(layer.kernel), _bias(layer, layer.units))
                return self._activation(layer.activation, self._put(dense), f"{name}/activation")
            case keras.layers.ReLU() if (
                layer.max_value == 6 and not layer.negative_slope + layer.threshold
            ):
                return self._put(Relu6(name, (x,)))
            case keras.layers.Activation():
                return self._activation(layer.activation, x, name)
            case keras.layers.Softmax(axis=-1):
                return self._put(Softmax(name, (x,)))
            case keras.layers.GlobalAveragePooling2D():
                return self._put(GlobalAveragePool(name, (x,)))
            case keras.layers.UpSampling2D(interpolation="bilinear", data_format="channels_last"):
                return self._put(ResizeBilinear(name, (x,), layer.size))
            case keras.layers.Flatten() if self._sizes[x] == (1, 1):
                return x
            case keras.layers.Dropout():
                return x
        raise _unsupported(layer, name)

    def _factorized(self, layer, x: str, name: str) -> str:
        stem = isinstance(layer, layers.MicroStemConv2D)
        for direction, kind in (
            ("vertical", Conv if stem else DepthwiseConv),
            ("horizontal", DepthwiseConv),
        ):
            strides = (layer.strides, 1) if direction == "vertical" else (1, layer.strides)
            kernel = _weights(getattr(layer, f"{direction}_kernel"))
            affine = folding.batch_norm_affine(getattr(layer, f"{direction}_normalization"))
            kernel = folding.centred(kernel, self._sizes[x], strides)
            node = kind(f"{name}/{direction}", (x,), kernel, np.zeros(len(affine[0])), strides)
            x = self._put(folding.scaled(node, *affine))
        return x

    def _dy_shift_max(self, layer, x: str, name: str) -> str:
        channels = self.graph.channels()[x]
        order = np.arange(channels).reshape(layer.groups, -1)
        shift = np.roll(order, (-1, -1), axis=(0, 1)).ravel()
        count = 2 * layer.branches
        centers = np.ravel(list(zip(layer.init_a, layer.init_b, strict=True)))
        kernel = _weights(layer.coefficients.kernel).reshape(-1, count, channels)
        bias = _weights(layer.coefficients.bias).reshape(count, channels)
        node = DYShiftMax(
            name,
            (x,),
            shift=shift,
            squeeze_kernel=_weights(layer.squeeze.kernel),
            squeeze_bias=_weights(layer.squeeze.bias),
            # (hard_sigmoid(z) - 0.5) * 4 + c = clip(2z / 3, -2, 2) + c
            kernels=kernel.transpose(1, 0, 2) * (2 / 3),
            biases=bias * (2 / 3) + centers[:, None],
            centers=centers,
        )
        return self._put(node)

    def _stock_conv(self, layer, x: str, name: str) -> str:
        kernel, strides = _weights(layer.kernel), tuple(layer.strides)
        padded = layer.padding == "same" or tuple(layer.kernel_size) == (1, 1)
        if (
            not padded
            or tuple(layer.dilation_rate) != (1, 1)
            or layer.data_format != "channels_last"
        ):
            raise _unsupported(layer, name)
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            bias = _bias(layer, kernel.shape[2] * kernel.shape[3])
            x = self._put(DepthwiseConv(name, (x,), kernel, bias, strides))
        else:
            node = Conv(name, (x,), kernel, _bias(layer, layer.filters), strides)
            x = self._put(node, groups=layer.groups)
        return self._activation(layer.activation, x, f"{name}/activation")

    def _activation(self, function, x: str, name: str) -> str:
        kinds = {
            keras.activations.relu6: Relu6,
            keras.activations.hard_swish: HardSwish,
            keras.activations.softmax: Softmax,
        }
        if function is keras.activations.linear:
            return x
        if function not in kinds:
            raise _unsupported(function, name)
        return self._put(kinds[function](name, (x,)))

    def _batch_norm(self, layer, x: str) -> str:
        node = self.graph[x]
        private = self._readers[id(_inputs(layer)[0])] <= 1
        if not isinstance(node, Conv | DepthwiseConv | Dense) or not private or layer.axis != -1:
            raise ValueError(
                "A batch norm can be lowered only right after a convolution or dense layer that "
                f"nothing else reads. Received: {layer.name!r} after {x!r}"
            )
        self.graph.replace(folding.scaled(node, *folding.batch_norm_affine(layer)))
        return x

    def _add(self, name: str, inputs: list[str]) -> str:
        total = inputs[0]
        for i, other in enumerate(inputs[1:]):
            total = self._put(Add(name if i == 0 else f"{name}_{i}", (total, other)))
        return total

    def _name(self, tensor) -> str:
        """The node that stands for a Keras tensor; a layer shows those of its first use only."""
        if id(tensor) not in self._names:
            raise ValueError(
                "A layer that is used more than once cannot be lowered. "
                f"Received: one that makes {tensor.name!r} of shape {tensor.shape}"
            )
        return self._names[id(tensor)]

    def _output(self, tensor) -> str:
        name = self._name(tensor)
        # Pooled vectors keep their rank inside the graph.
        return name if len(tensor.shape) == 4 else self._put(Flatten(f"{name}/flat", (name,)))

    def _put(self, node, **changes) -> str:
        if changes:
            node = dataclasses.replace(node, **changes)
        height, width = self._sizes[node.inputs[0]]
        if isinstance(node, ResizeBilinear):
            height, width = height * node.factors[0], width * node.factors[1]
        down, right = getattr(node, "strides", (1, 1))
        size = (-(-height // down), -(-width // right))
        self._sizes[node.name] = (1, 1) if isinstance(node, GlobalAveragePool) else size
        return self.graph.add(node)


def _operations(model: keras.Model) -> list:
    """The model's layers in the order of computation."""
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise ValueError(f"Only a functional Keras model can be lowered. Received: {type(model)}")
    for operation in model.operations:
        if isinstance(operation, keras.Model):
            raise ValueError(
                "A model inside the model cannot be lowered; call its layers one by one. "
                f"Received: {operation.name!r}"
            )
    return model.operations


def _inputs(operation) -> list:
    if isinstance(operation, keras.layers.InputLayer):
        return []
    return keras.tree.flatten(operation.input)


def _weights(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def _bias(layer, channels: int) -> np.ndarray:
    return _weights(layer.bias) if layer.use_bias else np.zeros(channels)


def _unsupported(thing, name: str) -> ValueError:
    kind = getattr(thing, "__name__", type(thing).__name__)
    return ValueError(
        f"This layer cannot be lowered. Received: {name!r} ({kind}); see the list of layers in the "
        "documentation of micronet_keras.lower.lower for what can take its place"
    )
