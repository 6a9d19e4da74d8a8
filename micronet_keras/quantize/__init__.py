"""Post-training quantization and quantization-aware training."""

from micronet_keras.lower import check
from micronet_keras.quantize.calibrate import calibrate, post_training_quantize
from micronet_keras.quantize.debug import Diagnosis, debug_quantization
from micronet_keras.quantize.fine_tune import fine_tune
from micronet_keras.quantize.keras_qat import NativeQuantizeAwareModel
from micronet_keras.quantize.qat import QuantizeAwareModel, quantize_aware
from micronet_keras.quantize.quantize import quantize
from micronet_keras.quantize.quantized_graph import QuantizedGraph
from micronet_keras.quantize.to_tflite import convert
from micronet_settings.quantization import ENGINES, QuantizeConfig

__all__ = [
    "Diagnosis",
    "ENGINES",
    "check",
    "convert",
    "NativeQuantizeAwareModel",
    "QuantizeAwareModel",
    "QuantizeConfig",
    "QuantizedGraph",
    "calibrate",
    "debug_quantization",
    "fine_tune",
    "post_training_quantize",
    "quantize",
    "quantize_aware",
]


def __dir__() -> list[str]:
    return list(__all__)
