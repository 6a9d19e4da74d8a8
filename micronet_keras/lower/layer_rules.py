"""How Keras' own layers are lowered: a table from the class to its rule, and what has none."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from micronet_keras.lower import folding
from micronet_keras.lower.graph import (
    Add,
    AveragePool,
    Concatenate,
    Conv,
    ConvTranspose,
    Crop,
    Dense,
    DepthwiseConv,
    GlobalAveragePool,
    Maximum,
    MaxPool,
    Minimum,
    Multiply,
    Node,
    Pad,
    ResizeBilinear,
    ResizeNearest,
    Subtract,
    Transpose,
)
from micronet_keras.lower.pieces import (
    activate,
    axis_of,
    bias,
    global_max_pool,
    per_channel,
    relu,
    reshaped,
    scale_and_shift,
    softmax,
    weights,
)
from micronet_keras.lower.trace import CannotLower, Rule, Trace, Value

K = keras.layers


def inert(t: Trace, name: str, layer: Any, x: Any, *rest: Any, **kwargs: Any) -> Any:
    """What does nothing at inference."""
    return x


def _axes(value: Any, x: Value) -> tuple[int, int]:
    """What a layer of one or two dimensions says of its axes, as (rows, columns)."""
    numbers = (value,) * (x.rank - 1) if isinstance(value, int) else tuple(value)
    rows, columns = (*(1,) * (2 - len(numbers)), *numbers)
    return rows, columns


def _kernel(variable: Any, axes: int = 4) -> np.ndarray:
    """A layer's kernel with an axis for the rows, which a Conv1D has not."""
    kernel = weights(variable)
    return kernel.reshape((1,) * (axes - kernel.ndim) + kernel.shape)


def _conv(t: Trace, name: str, layer: Any, x: Value) -> Value:
    kernel, padding, dilations = _kernel(layer.kernel), layer.padding, _axes(layer.dilation_rate, x)
    if padding == "causal":
        before = (kernel.shape[1] - 1) * dilations[1]
        x = t.put(Pad(f"{name}/causal", (x.name,), (0, 0), (before, 0)), x.rank)
        padding = "valid"
    node = Conv(
        name,
        (x.name,),
        kernel,
        bias(layer, layer.filters),
        _axes(layer.strides, x),
        layer.groups,
        padding=padding,
        dilations=dilations,
    )
    return activate(t, f"{name}/activation", layer.activation, t.put(node, x.rank))


def _conv_transpose(t: Trace, name: str, layer: Any, x: Value) -> Value:
    if layer.output_padding is not None or _axes(layer.dilation_rate, x) != (1, 1):
        raise CannotLower("an output_padding or dilation has no int8 form here; use neither")
    node = ConvTranspose(
        name,
        (x.name,),
        _kernel(layer.kernel),
        bias(layer, layer.filters),
        _axes(layer.strides, x),
        layer.padding,
    )
    return activate(t, f"{name}/activation", layer.activation, t.put(node, x.rank))


def _dilated(kernel: np.ndarray, rates: tuple[int, int]) -> np.ndarray:
    """The kernel with zeros between its taps; TensorFlow has no other way on every processor."""
    for axis, rate in enumerate(rates):
        shape = list(kernel.shape)
        shape[axis] = (shape[axis] - 1) * rate + 1
        spread = np.zeros(shape)
        spread[(slice(None),) * axis + (slice(None, None, rate),)] = kernel
        kernel = spread
    return kernel


def _depthwise(t: Trace, name: str, layer: Any, x: Value) -> Value:
    kernel = _dilated(_kernel(layer.kernel), _axes(layer.dilation_rate, x))
    count = kernel.shape[2] * kernel.shape[3]
    node = DepthwiseConv(
        name,
        (x.name,),
        kernel,
        bias(layer, count),
        _axes(layer.strides, x),
        padding=layer.padding,
    )
    return activate(t, f"{name}/activation", layer.activation, t.put(node, x.rank))


def _separable(t: Trace, name: str, layer: Any, x: Value) -> Value:
    kernel = _dilated(_kernel(layer.depthwise_kernel), _axes(layer.dilation_rate, x))
    depthwise = DepthwiseConv(
        f"{name}/depthwise",
        (x.name,),
        kernel,
        np.zeros(kernel.shape[2] * kernel.shape[3]),
        _axes(layer.strides, x),
        padding=layer.padding,
    )
    middle = t.put(depthwise, x.rank)
    pointwise = Conv(
        name, (middle.name,), _kernel(layer.pointwise_kernel), bias(layer, layer.filters)
    )
    return activate(t, f"{name}/activation", layer.activation, t.put(pointwise, x.rank))


def _dense(t: Trace, name: str, layer: Any, x: Value) -> Value:
    kernel, offset = weights(layer.kernel), bias(layer, layer.units)
    if x.rank == 1:
        y = t.put(Dense(name, (x.name,), kernel, offset), 1)
    else:
        # Of every place by itself.
        y = t.put(Conv(name, (x.name,), kernel[None, None], offset), x.rank)
    return activate(t, f"{name}/activation", layer.activation, y)


def _batch_norm(t: Trace, name: str, layer: Any, x: Value) -> Value:
    if layer.axis not in (-1, x.rank):
        raise CannotLower(f"a batch norm must be over the last axis, and not over {layer.axis}")
    return scale_and_shift(t, name, x, *folding.batch_norm_affine(layer))


def _rescaling(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return scale_and_shift(t, name, x, layer.scale, layer.offset)


def _normalization(t: Trace, name: str, layer: Any, x: Value) -> Value:
    mean, variance = (
        per_channel(keras.ops.convert_to_numpy(value), x) for value in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.backend.epsilon())
    if layer.invert:
        return scale_and_shift(t, name, x, deviation, mean)
    return scale_and_shift(t, name, x, 1 / deviation, -mean / deviation)


def _activation(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return activate(t, name, layer.activation, x)


def _relu(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return relu(t, name, x, layer.negative_slope, layer.max_value, layer.threshold)


def _leaky_relu(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return relu(t, name, x, layer.negative_slope)


def _prelu(t: Trace, name: str, layer: Any, x: Value) -> Value:
    alpha = weights(layer.alpha)
    if alpha.size != alpha.shape[-1]:
        raise CannotLower("its slopes differ from place to place; use shared_axes=[1, 2]")
    alpha = alpha.ravel()
    if (alpha > 1).any():
        raise CannotLower("a slope is above 1; train it with alpha_constraint, or use LeakyReLU")
    scaled = scale_and_shift(t, f"{name}/scaled", x, alpha, 0)
    return t.put(Maximum(name, (x.name, scaled.name)), x.rank)


def _softmax(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return softmax(t, name, x, layer.axis)


def binary(t: Trace, name: str, kind: type[Node], x: Value, y: Value) -> Value:
    """An operation of two tensors."""
    if x.rank != y.rank:
        raise CannotLower(
            f"it joins tensors of {x.rank} and {y.rank} axes; bring them to the same with Reshape"
        )
    return t.put(kind(name, (x.name, y.name)), x.rank)


def _merge(kind: type[Node]) -> Rule:
    def rule(t: Trace, name: str, layer: Any, values: list[Value]) -> Value:
        total = values[0]
        for other in values[1:]:
            total = binary(t, name, kind, total, other)
        return total

    return rule


def _average(t: Trace, name: str, layer: Any, values: list[Value]) -> Value:
    total = _merge(Add)(t, f"{name}/sum", layer, values)
    return scale_and_shift(t, name, total, 1 / len(values), 0)


def concatenated(t: Trace, name: str, values: list[Value], axis: int) -> Value:
    """Tensors one behind the other."""
    sources = tuple(value.name for value in values)
    axis = axis_of(axis, values[0])
    return t.put(Concatenate(name, sources, axis), values[0].rank)


def _concatenate(t: Trace, name: str, layer: Any, values: list[Value]) -> Value:
    return concatenated(t, name, values, layer.axis)


def _pool(kind: type[Node]) -> Rule:
    def rule(t: Trace, name: str, layer: Any, x: Value) -> Value:
        node = kind(
            name,
            (x.name,),
            _axes(layer.pool_size, x),
            _axes(layer.strides, x),
            padding=layer.padding,
        )
        return t.put(node, x.rank)

    return rule


def _global_average_pool(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return t.put(GlobalAveragePool(name, (x.name,)), x.rank if layer.keepdims else 1)


def _global_max_pool(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return global_max_pool(t, name, x, x.rank if layer.keepdims else 1)


def _zero_padding(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return t.put(Pad(name, (x.name,), *_ends(layer.padding, x)), x.rank)


def _ends(widths: Any, x: Value) -> list[tuple[int, int]]:
    """(before, behind) of the rows and of the columns."""
    return [(0, 0), tuple(widths)] if x.rank == 2 else [tuple(width) for width in widths]


def cropped(t: Trace, name: str, x: Value, rows: tuple[int, int], columns: tuple[int, int]):
    """`x` without so many rows and columns before and behind."""
    return t.put(Crop(name, (x.name,), rows, columns), x.rank)


def _cropping(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return cropped(t, name, x, *_ends(layer.cropping, x))


def _center_crop(t: Trace, name: str, layer: Any, x: Value) -> Value:
    height, width, _ = t.shape(x)
    down, right = height - layer.height, width - layer.width
    if down < 0 or right < 0:
        raise CannotLower("it enlarges the image; resize the images before they go in")
    rows, columns = ((excess // 2, excess - excess // 2) for excess in (down, right))
    return cropped(t, name, x, rows, columns)


def _resizing(t: Trace, name: str, layer: Any, x: Value) -> Value:
    height, width, _ = t.shape(x)
    down, right = layer.height // height, layer.width // width
    if (height * down, width * right) != (layer.height, layer.width):
        raise CannotLower("only whole multiples can be had; resize the images before they go in")
    if down != right and (layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio):
        raise CannotLower("it keeps the aspect ratio; resize the images before they go in")
    return x if down == right == 1 else _resized(t, name, layer.interpolation, x, (down, right))


def _flatten(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return reshaped(t, name, x, (int(np.prod(t.shape(x))),))


def _reshape(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return reshaped(t, name, x, whole_shape(t, x, layer.target_shape))


def whole_shape(t: Trace, x: Value, target: tuple[int, ...]) -> tuple[int, ...]:
    """The target shape with its -1 worked out."""
    size = int(np.prod(t.shape(x)))
    known = int(np.prod([length for length in target if length != -1]))
    return tuple(size // known if length == -1 else int(length) for length in target)


def transposed(t: Trace, name: str, x: Value, axes: tuple[int, ...]) -> Value:
    """`axes` as Keras' Permute counts them: from 1, without the batch."""
    missing = 3 - x.rank
    whole = (*range(missing), *(missing + axis - 1 for axis in axes))
    if whole == (0, 1, 2):
        return x
    return t.put(Transpose(name, (x.name,), whole), x.rank)


def _permute(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return transposed(t, name, x, tuple(layer.dims))


def _up_sampling(t: Trace, name: str, layer: Any, x: Value) -> Value:
    interpolation = getattr(layer, "interpolation", "nearest")
    return _resized(t, name, interpolation, x, _axes(layer.size, x))


def _resized(t: Trace, name: str, interpolation: str, x: Value, factors: tuple[int, int]) -> Value:
    kinds = {"bilinear": ResizeBilinear, "nearest": ResizeNearest}
    if interpolation not in kinds:
        raise CannotLower(
            f"{interpolation} interpolation has no int8 form; use one of {sorted(kinds)}"
        )
    return t.put(kinds[interpolation](name, (x.name,), factors), x.rank)


_INERT = (
    "ActivityRegularization",
    "AlphaDropout",
    "AugMix",
    "CutMix",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "SpatialDropout1D",
    "SpatialDropout2D",
)

RULES: dict[type, Rule] = {
    K.Activation: _activation,
    K.Add: _merge(Add),
    K.Average: _average,
    K.AveragePooling1D: _pool(AveragePool),
    K.AveragePooling2D: _pool(AveragePool),
    K.BatchNormalization: _batch_norm,
    K.CenterCrop: _center_crop,
    K.Concatenate: _concatenate,
    K.Conv1D: _conv,
    K.Conv2D: _conv,
    K.Conv2DTranspose: _conv_transpose,
    K.Cropping1D: _cropping,
    K.Cropping2D: _cropping,
    K.Dense: _dense,
    K.DepthwiseConv1D: _depthwise,
    K.DepthwiseConv2D: _depthwise,
    K.Flatten: _flatten,
    K.GlobalAveragePooling1D: _global_average_pool,
    K.GlobalAveragePooling2D: _global_average_pool,
    K.GlobalMaxPooling1D: _global_max_pool,
    K.GlobalMaxPooling2D: _global_max_pool,
    K.LeakyReLU: _leaky_relu,
    K.Maximum: _merge(Maximum),
    K.MaxPooling1D: _pool(MaxPool),
    K.MaxPooling2D: _pool(MaxPool),
    K.Minimum: _merge(Minimum),
    K.Multiply: _merge(Multiply),
    K.Normalization: _normalization,
    K.Permute: _permute,
    K.PReLU: _prelu,
    K.ReLU: _relu,
    K.Rescaling: _rescaling,
    K.Reshape: _reshape,
    K.Resizing: _resizing,
    K.SeparableConv1D: _separable,
    K.SeparableConv2D: _separable,
    K.Softmax: _softmax,
    K.Subtract: _merge(Subtract),
    K.UpSampling1D: _up_sampling,
    K.UpSampling2D: _up_sampling,
    K.ZeroPadding1D: _zero_padding,
    K.ZeroPadding2D: _zero_padding,
    # Which of them there are depends on the version of Keras.
    **{getattr(K, name): inert for name in _INERT if hasattr(K, name)},
}

# What to use instead of layers that have no int8 form in TensorFlow Lite Micro.
ADVICE: dict[str, str] = {
    "Attention": "attention has no int8 form; use convolutions and squeeze-and-excitation",
    "Bidirectional": "recurrent layers are not lowered; use convolutions",
    "Conv1DTranspose": "use Conv2DTranspose on a map of height 1",
    "Conv3D": "a graph has height and width only; use Conv2D",
    "ELU": "use ReLU, LeakyReLU or hard_swish",
    "GRU": "recurrent layers are not lowered; use convolutions",
    "GroupNormalization": "it has no int8 form; use BatchNormalization",
    "LayerNormalization": "it has no int8 form; use BatchNormalization",
    "LSTM": "recurrent layers are not lowered; use convolutions",
    "Lambda": "what a Lambda computes cannot be seen; use layers or keras.ops",
    "MultiHeadAttention": "attention has no int8 form; use convolutions",
    "RandomCrop": "crop the images before they go in, or use CenterCrop",
    "RMSNormalization": "it has no int8 form; use BatchNormalization",
    "SimpleRNN": "recurrent layers are not lowered; use convolutions",
    "SpectralNormalization": "give the model with the wrapped layer itself",
    "TimeDistributed": "use Conv2D or Dense, which work on every place by themselves",
}
