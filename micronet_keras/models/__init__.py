"""MicroNet models: builders, weights, feature taps and costs."""

from micronet_keras.layers import MAdds
from micronet_keras.models.configs import CONFIGS, MicroNetConfig, MicroNetRow
from micronet_keras.models.counting import count_madds
from micronet_keras.models.detection_heads import DETECTION_HEADS, LightHead, RetinaNetHead
from micronet_keras.models.features import feature_maps, pyramid_outputs
from micronet_keras.models.imagenet import decode_predictions, preprocess_input
from micronet_keras.models.micronet import (
    MicroNet,
    MicroNetM0,
    MicroNetM1,
    MicroNetM2,
    MicroNetM3,
)
from micronet_keras.models.mlperf_tiny import DSCNN, ResNet8
from micronet_keras.models.object_detector import MicroNetObjectDetector
from micronet_keras.models.pose_estimator import (
    HEATMAP_STRIDE,
    POSE_HEADS,
    MicroNetPoseEstimator,
    PoseHead,
)
from micronet_keras.models.profile import LayerProfile, Profile, profile
from micronet_keras.models.pytorch import load_pytorch_checkpoint, load_state_dict
from micronet_keras.models.shufflenet import ShuffleNetV2
from micronet_keras.models.squeezenet import SqueezeNet
from micronet_keras.models.stem import with_stem_stride
from micronet_keras.models.weights import imagenet_path, load_weights_file, read_keras

__all__ = [
    "CONFIGS",
    "DETECTION_HEADS",
    "DSCNN",
    "HEATMAP_STRIDE",
    "LayerProfile",
    "LightHead",
    "MAdds",
    "MicroNet",
    "MicroNetConfig",
    "MicroNetM0",
    "MicroNetM1",
    "MicroNetM2",
    "MicroNetM3",
    "MicroNetObjectDetector",
    "MicroNetPoseEstimator",
    "MicroNetRow",
    "POSE_HEADS",
    "PoseHead",
    "Profile",
    "ResNet8",
    "RetinaNetHead",
    "ShuffleNetV2",
    "SqueezeNet",
    "count_madds",
    "decode_predictions",
    "feature_maps",
    "imagenet_path",
    "load_pytorch_checkpoint",
    "load_state_dict",
    "load_weights_file",
    "preprocess_input",
    "profile",
    "pyramid_outputs",
    "read_keras",
    "with_stem_stride",
]


def __dir__() -> list[str]:
    return list(__all__)
