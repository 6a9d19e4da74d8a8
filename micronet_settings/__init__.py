"""What can be set, with its defaults, presets and checks, as plain dataclasses.

Neither Keras nor TensorFlow is imported here, so that the command line knows every flag at once.
"""

from micronet_settings import classification, detection, keypoints
from micronet_settings.classification import ClassificationConfig
from micronet_settings.detection import DetectionConfig
from micronet_settings.keypoints import KeypointConfig
from micronet_settings.quantization import ENGINES, MODES, QuantizeConfig
from micronet_settings.training import TrainConfig, flat, replace, with_batch_size

# Names as in `micronet_keras.tasks.NETWORKS` and `TASKS`.
NETWORKS = ("m0", "m1", "m2", "m3")
CONFIGS: dict[str, type] = {
    "classification": ClassificationConfig,
    "detection": DetectionConfig,
    "keypoints": KeypointConfig,
}
# Presets by task and name.
RECIPES: dict[str, dict] = {
    "classification": classification.RECIPES,
    "detection": detection.RECIPES,
    "keypoints": keypoints.RECIPES,
}

__all__ = [
    "CONFIGS",
    "ENGINES",
    "MODES",
    "NETWORKS",
    "RECIPES",
    "ClassificationConfig",
    "DetectionConfig",
    "KeypointConfig",
    "QuantizeConfig",
    "TrainConfig",
    "flat",
    "replace",
    "with_batch_size",
]
