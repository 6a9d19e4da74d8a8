"""The Keras layers that MicroNet and its detectors are made of."""

from micronet_keras.layers.blocks import MicroBlockA, MicroBlockB, MicroBlockC
from micronet_keras.layers.channel_shuffle import ChannelShuffle
from micronet_keras.layers.dy_shift_max import DYShiftMax
from micronet_keras.layers.factorized import (
    MicroFactorizedDepthwiseConv2D,
    MicroFactorizedPointwiseConv2D,
    MicroStemConv2D,
)
from micronet_keras.layers.madds import MAdds, layer_madds
from micronet_keras.layers.pack_levels import PackLevels

__all__ = [
    "ChannelShuffle",
    "DYShiftMax",
    "MAdds",
    "MicroBlockA",
    "MicroBlockB",
    "MicroBlockC",
    "MicroFactorizedDepthwiseConv2D",
    "MicroFactorizedPointwiseConv2D",
    "MicroStemConv2D",
    "PackLevels",
    "layer_madds",
]


def __dir__() -> list[str]:
    return list(__all__)
