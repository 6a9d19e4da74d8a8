"""Compares a Keras model with its int8 form on the real TensorFlow Lite Micro interpreter.

Both run over the same images. Of a classifier it prints accuracies, how often both agree and the
signal-to-noise ratio of the int8 outputs; of a detector COCO's average precisions; of a heatmap
model OKS AP and the mean error in heatmap cells; of all arena and flash. --json, --confusion and
--picture write to files.

Examples:

  python scripts/evaluate.py --model=out/shapes/best.keras --tflite=out/shapes/int8/model.tflite

  python scripts/evaluate.py --model=out/flowers/best.keras \\
      --tflite=out/flowers/int8/model.tflite --dataset=./flowers --split=validation \\
      --confusion=out/flowers/confusion.png

  # A detector, and a picture of what its int8 form finds.
  python scripts/evaluate.py --task=detection --model=out/detector/best.keras \\
      --tflite=out/detector/int8/model.tflite --picture=out/detector/int8.png
"""

import json

from absl import flags

from micronet_keras import data
from micronet_keras.detection.int8 import compare_float_and_int8
from micronet_keras.evaluate import compare_classifiers, confusion_matrix, plot_confusion
from micronet_keras.keypoints import compare_keypoints, draw_predictions
from micronet_keras.models import read_keras
from micronet_mcu.cli import script
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes, replacing

# The bundled dataset of each task.
DATASETS = {
    "classification": data.DEFAULT_DATASET,
    "detection": "micronet_shapes/multi",
    "keypoints": "micronet_shapes/multi",
}

_TASK = flags.DEFINE_enum("task", "classification", list(DATASETS), "what the model is for")
_MODEL = flags.DEFINE_string("model", None, "the .keras file", required=True)
_TFLITE = flags.DEFINE_string("tflite", None, "its int8 .tflite file", required=True)
_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "a TFDS name, or a folder with a sub-folder per class; the bundled dataset when not given",
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_SPLIT = flags.DEFINE_string("split", "test", "the split to look at")
_IMAGES = flags.DEFINE_integer(
    "images", None, "only the first so many (people, for keypoints)", lower_bound=1
)
_ON_BAD_IMAGE = flags.DEFINE_enum(
    "on_bad_image", "skip", ["skip", "error"], "what to do with an image that does not decode"
)
_JSON = flags.DEFINE_string("json", None, "a file for the figures")
_CONFUSION = flags.DEFINE_string("confusion", None, "a PNG for a classifier's confusion matrix")
_PICTURE = flags.DEFINE_string("picture", None, "a PNG for what a detector or keypoints find")


def main(argv: list[str]) -> None:
    del argv
    model = read_keras(_MODEL.value)
    flatbuffer = read_bytes(_TFLITE.value)
    source = data.load_dataset(_DATASET.value or DATASETS[_TASK.value], _DATA_DIR.value)
    what = (model, flatbuffer, source, _SPLIT.value, _IMAGES.value, _ON_BAD_IMAGE.value)
    if _TASK.value == "classification":
        if _PICTURE.value:
            raise UserError("--picture is for the other tasks; a classifier has --confusion")
        result = compare_classifiers(*what)
    elif _CONFUSION.value:
        raise UserError("--confusion is for classifiers; the other tasks have --picture")
    elif _TASK.value == "detection":
        result = compare_float_and_int8(*what, picture=_PICTURE.value)
    else:
        result = compare_keypoints(*what)
        if _PICTURE.value:
            title = f"{model.name}, int8 on TFLM: AP {result.summary['int8_ap']:.3f}"
            draw_predictions(result.int8_predictions, _PICTURE.value, title=title)
    for name, value in result.summary.items():
        print(f"{name:16} {value:.4f}" if isinstance(value, float) else f"{name:16} {value}")
    if source.bad_images:
        print(source.bad_images.summary())
    if _JSON.value:
        with replacing(_JSON.value) as temporary:
            temporary.write_text(json.dumps(result.summary, indent=2) + "\n")
    if _CONFUSION.value:
        counts = confusion_matrix(result.int8_outputs, result.labels)
        title = f"{model.name}, int8 on TFLM: {result.summary['int8_accuracy']:.1%}"
        plot_confusion(_CONFUSION.value, counts, source.class_names, title)


def run() -> None:
    script.run(main)
