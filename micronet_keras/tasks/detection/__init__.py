"""Object detection as a task: annotations, augmentation, targets, average precision, pictures."""

from micronet_keras.tasks.detection.task import Detection
from micronet_settings.detection import DetectionConfig

__all__ = ["Detection", "DetectionConfig"]
