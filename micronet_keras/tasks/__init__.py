"""What images are used for: a task says what differs, and only that."""

from micronet_keras.tasks.classification import Classification, ClassificationConfig
from micronet_keras.tasks.config import TrainConfig, replace, with_batch_size
from micronet_keras.tasks.detection import Detection, DetectionConfig
from micronet_keras.tasks.keypoints import KeypointConfig, Keypoints
from micronet_keras.tasks.networks import NETWORKS
from micronet_keras.tasks.task import Examples, Measured, Task
from micronet_keras.tasks.transfer import transfer_weights

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
