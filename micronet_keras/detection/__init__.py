"""Object detection: heads, losses, data with boxes, metrics, decoding on the microcontroller.

Quantization is in `micronet_keras.detection.int8`, which loads tf_keras and tfmot.
"""

from micronet_keras.boxes import (
    AnchorCoder,
    Level,
    PointCoder,
    class_count,
    coder_of,
    decode,
    pack,
)
from micronet_keras.detection.annotations import AnnotationReport, check_annotations
from micronet_keras.detection.evaluation import (
    detector_function,
    evaluate_detector,
    ground_truth,
    plot_examples,
)
from micronet_keras.detection.heads import feature_maps, light_detector, retinanet
from micronet_keras.detection.metrics import GroundTruth, average_precision
from micronet_keras.detection.pictures import plot_detections
from micronet_keras.detection.pipeline import eval_batches, train_batches
from micronet_keras.detection.training import (
    DETECTION_RECIPES,
    DetectionConfig,
    train_detector,
)
from micronet_mcu.decode.detection import Detections, Int8Decoder, Selection, suppress
from micronet_mcu.decode.detector_header import write_c_detector

__all__ = [
    "DETECTION_RECIPES",
    "AnchorCoder",
    "AnnotationReport",
    "DetectionConfig",
    "Detections",
    "GroundTruth",
    "Int8Decoder",
    "Level",
    "PointCoder",
    "Selection",
    "average_precision",
    "check_annotations",
    "class_count",
    "coder_of",
    "decode",
    "detector_function",
    "eval_batches",
    "evaluate_detector",
    "feature_maps",
    "ground_truth",
    "light_detector",
    "pack",
    "plot_detections",
    "plot_examples",
    "retinanet",
    "suppress",
    "train_batches",
    "train_detector",
    "write_c_detector",
]
