"""Compares a Keras classifier with its int8 form on the real TensorFlow Lite Micro interpreter.

Both run over the same images. It prints accuracies, how often both agree, the signal-to-noise ratio
of the int8 outputs, arena and flash; --json and --confusion write them to files.

Examples:

  python scripts/evaluate.py --model=out/shapes/best.keras --tflite=out/shapes/int8/model.tflite

  python scripts/evaluate.py --model=out/flowers/best.keras \\
      --tflite=out/flowers/int8/model.tflite --dataset=./flowers --split=validation \\
      --confusion=out/flowers/confusion.png
"""

import json

from absl import flags

from micronet_keras import cli, data
from micronet_keras.evaluate import compare_classifiers, confusion_matrix, plot_confusion
from micronet_keras.files import read_bytes, replacing
from micronet_keras.models import read_keras

_MODEL = flags.DEFINE_string("model", None, "the .keras file", required=True)
_TFLITE = flags.DEFINE_string("tflite", None, "its int8 .tflite file", required=True)
_DATASET = flags.DEFINE_string(
    "dataset", data.DEFAULT_DATASET, "a TFDS name, or a folder with a sub-folder per class"
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_SPLIT = flags.DEFINE_string("split", "test", "the split to look at")
_IMAGES = flags.DEFINE_integer("images", None, "only the first so many", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "a file for the figures")
_CONFUSION = flags.DEFINE_string("confusion", None, "a PNG for the int8 confusion matrix")


def main(argv: list[str]) -> None:
    del argv
    model = read_keras(_MODEL.value)
    flatbuffer = read_bytes(_TFLITE.value)
    source = data.load_dataset(_DATASET.value, _DATA_DIR.value)
    result = compare_classifiers(model, flatbuffer, source, _SPLIT.value, _IMAGES.value)
    for name, value in result.summary.items():
        print(f"{name:16} {value:.4f}" if isinstance(value, float) else f"{name:16} {value}")
    if _JSON.value:
        with replacing(_JSON.value) as temporary:
            temporary.write_text(json.dumps(result.summary, indent=2) + "\n")
    if _CONFUSION.value:
        counts = confusion_matrix(result.int8_outputs, result.labels)
        title = f"{model.name}, int8 on TFLM: {result.summary['int8_accuracy']:.1%}"
        plot_confusion(_CONFUSION.value, counts, source.class_names, title)


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
