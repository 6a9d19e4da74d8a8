"""Keypoints of people as a task: people, crops, targets, OKS, pictures."""

from micronet_keras.tasks.keypoints.task import Keypoints
from micronet_settings.keypoints import KeypointConfig

__all__ = ["KeypointConfig", "Keypoints"]
