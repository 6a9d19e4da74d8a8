"""What images are used for: a task says what differs, and only that."""

from micronet_keras.tasks.classification import Classification
from micronet_keras.tasks.detection import Detection
from micronet_keras.tasks.keypoints import Keypoints
from micronet_keras.tasks.networks import NETWORKS
from micronet_keras.tasks.task import Examples, Measured, Task
from micronet_keras.tasks.transfer import transfer_weights
from micronet_settings.classification import ClassificationConfig
from micronet_settings.detection import DetectionConfig
from micronet_settings.keypoints import KeypointConfig
from micronet_settings.training import TrainConfig, replace, with_batch_size

CLASSIFICATION = Classification()
DETECTION = Detection()
KEYPOINTS = Keypoints()
TASKS: dict[str, Task] = {task.name: task for task in (CLASSIFICATION, DETECTION, KEYPOINTS)}

__all__ = [
    "CLASSIFICATION",
    "DETECTION",
    "KEYPOINTS",
    "NETWORKS",
    "TASKS",
    "ClassificationConfig",
    "DetectionConfig",
    "Examples",
    "KeypointConfig",
    "Measured",
    "Task",
    "TrainConfig",
    "replace",
    "transfer_weights",
    "with_batch_size",
]


def __dir__() -> list[str]:
    return list(__all__)
