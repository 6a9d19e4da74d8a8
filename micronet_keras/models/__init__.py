"""MicroNet models: builders, pretrained weights, feature taps and costs."""

from micronet_keras.models.configs import CONFIGS, MicroNetConfig, MicroNetRow
from micronet_keras.models.micronet import MicroNet

__all__ = ["CONFIGS", "MicroNet", "MicroNetConfig", "MicroNetRow"]
