"""How this package's own layers are lowered."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from micronet_keras import layers
from micronet_keras.lower import folding
from micronet_keras.lower.graph import Add, Conv, DepthwiseConv, DYShiftMax, Gather
from micronet_keras.lower.pieces import weights
from micronet_keras.lower.trace import CannotLower, Packed, Rule, Trace, Value


def _block(t: Trace, name: str, block: Any, *inputs: Any) -> Value | list[Value]:
    values = keras.tree.flatten(inputs)
    squeezed = values[0]
    for layer in block.squeeze_path:
        squeezed = _part(t, name, layer, squeezed)
    if block.adds_shortcut:
        names = (squeezed.name, values[-1].name)
        squeezed = t.put(Add(f"{name}/add", names), 3)
    expanded = squeezed
    for layer in block.expand_path:
        expanded = _part(t, name, layer, expanded)
    return [expanded, squeezed] if getattr(block, "return_squeezed", False) else expanded


def _part(t: Trace, name: str, layer: Any, x: Value) -> Value:
    return t.rule_of(layer)(t, f"{name}/{layer.name}", layer, x)


def _factorized(t: Trace, name: str, layer: Any, x: Value) -> Value:
    stem = isinstance(layer, layers.MicroStemConv2D)
    for direction, kind in (
        ("vertical", Conv if stem else DepthwiseConv),
        ("horizontal", DepthwiseConv),
    ):
        strides = (layer.strides, 1) if direction == "vertical" else (1, layer.strides)
        kernel = weights(getattr(layer, f"{direction}_kernel"))
        affine = folding.batch_norm_affine(getattr(layer, f"{direction}_normalization"))
        kernel = folding.centred(kernel, t.shape(x)[:2], strides)
        node = kind(f"{name}/{direction}", (x.name,), kernel, np.zeros(len(affine[0])), strides)
        x = t.put(folding.scaled(node, *affine), 3)
    return x


def _pointwise(t: Trace, name: str, layer: Any, x: Value) -> Value:
    node = Conv(
        name, (x.name,), weights(layer.kernel), np.zeros(layer.filters), groups=layer.groups
    )
    return t.put(folding.scaled(node, *folding.batch_norm_affine(layer.normalization)), 3)


def _dy_shift_max(t: Trace, name: str, layer: Any, x: Value) -> Value:
    channels = t.shape(x)[2]
    order = np.arange(channels).reshape(layer.groups, -1)
    count = 2 * layer.branches
    centers = np.ravel(list(zip(layer.init_a, layer.init_b, strict=True)))
    kernel = weights(layer.coefficients.kernel).reshape(-1, count, channels)
    offsets = weights(layer.coefficients.bias).reshape(count, channels)
    node = DYShiftMax(
        name,
        (x.name,),
        shift=np.roll(order, (-1, -1), axis=(0, 1)).ravel(),
        squeeze_kernel=weights(layer.squeeze.kernel),
        squeeze_bias=weights(layer.squeeze.bias),
        # (hard_sigmoid(z) - 0.5) * 4 + c = clip(2z / 3, -2, 2) + c
        kernels=kernel.transpose(1, 0, 2) * (2 / 3),
        biases=offsets * (2 / 3) + centers[:, None],
        centers=centers,
    )
    return t.put(node, 3)


def _channel_shuffle(t: Trace, name: str, layer: Any, x: Value) -> Value:
    indices = np.arange(t.shape(x)[2]).reshape(layer.groups, -1).T.ravel()
    return t.put(Gather(name, (x.name,), indices), x.rank)


def _pack_levels(t: Trace, name: str, layer: Any, levels: list[Value]) -> Packed:
    if any(isinstance(level, Packed) for level in levels):
        raise CannotLower("levels are packed once only")
    return Packed(tuple(levels), layer.classes)


RULES: dict[type, Rule] = {
    layers.ChannelShuffle: _channel_shuffle,
    layers.DYShiftMax: _dy_shift_max,
    layers.MicroBlockA: _block,
    layers.MicroBlockB: _block,
    layers.MicroBlockC: _block,
    layers.MicroFactorizedDepthwiseConv2D: _factorized,
    layers.MicroFactorizedPointwiseConv2D: _pointwise,
    layers.MicroStemConv2D: _factorized,
    layers.PackLevels: _pack_levels,
}
