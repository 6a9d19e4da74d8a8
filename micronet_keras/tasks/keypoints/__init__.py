"""Keypoints of people as a task: people, crops, targets, OKS, pictures."""

from micronet_keras.tasks.keypoints.config import KeypointConfig
from micronet_keras.tasks.keypoints.task import Keypoints

__all__ = ["KeypointConfig", "Keypoints"]
