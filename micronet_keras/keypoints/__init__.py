"""Keypoints of people, top-down: one person in a crop, one heatmap for each keypoint."""

from micronet_keras.keypoints.baseline import MobileNetV3SmallKeypoints
from micronet_keras.keypoints.coco import CocoKeypoints, read_coco
from micronet_keras.keypoints.config import KEYPOINT_RECIPES, KeypointConfig
from micronet_keras.keypoints.draw import draw_predictions
from micronet_keras.keypoints.evaluate import (
    Comparison,
    Predictions,
    compare_keypoints,
    float_predictor,
    predict_people,
    tflm_predictor,
)
from micronet_keras.keypoints.metric import keypoint_similarity, oks_average_precision
from micronet_keras.keypoints.model import HEADS, HEATMAP_STRIDE, HeadConfig, KeypointModel
from micronet_keras.keypoints.people import DEFAULT_DATASET, People, load_people
from micronet_keras.keypoints.quantize import quantize_keypoints
from micronet_keras.keypoints.skeleton import KEYPOINT_COUNT, KEYPOINT_NAMES, MIRRORED
from micronet_keras.keypoints.train import train_keypoints
from micronet_mcu.decode.keypoints import decode, decode_int8

__all__ = [
    "DEFAULT_DATASET",
    "HEADS",
    "HEATMAP_STRIDE",
    "KEYPOINT_COUNT",
    "KEYPOINT_NAMES",
    "KEYPOINT_RECIPES",
    "MIRRORED",
    "CocoKeypoints",
    "Comparison",
    "HeadConfig",
    "KeypointConfig",
    "KeypointModel",
    "MobileNetV3SmallKeypoints",
    "People",
    "Predictions",
    "compare_keypoints",
    "decode",
    "decode_int8",
    "draw_predictions",
    "float_predictor",
    "keypoint_similarity",
    "load_people",
    "oks_average_precision",
    "predict_people",
    "quantize_keypoints",
    "read_coco",
    "tflm_predictor",
    "train_keypoints",
]
