"""Quantizes a trained model: with quantization-aware training (QAT) or post-training (PTQ).

It writes one file, which scripts/convert.py turns into an int8 flatbuffer and C arrays. A
fine-tuning that was stopped goes on with the same command.

Examples:

  # An epoch of QAT on the bundled dataset.
  python scripts/quantize.py --model=out/shapes/best.keras --out=out/shapes/qat.npz

  # PTQ: ranges from 512 training images, no training.
  python scripts/quantize.py --model=out/shapes/best.keras --mode=ptq --out=out/shapes/ptq.npz

  # Your own pictures, trained with scripts/train.py before.
  python scripts/quantize.py --model=out/flowers/best.keras --dataset=./flowers --epochs=4 \\
      --out=out/flowers/qat.npz

  # A detector of scripts/train.py --task=detection; --task=keypoints is for heatmap models.
  python scripts/quantize.py --task=detection --model=out/detector/best.keras --mode=ptq \\
      --out=out/detector/ptq.npz
"""

import dataclasses

import keras
from absl import flags

from micronet_keras import data
from micronet_keras.detection.int8 import quantize_detector
from micronet_keras.keypoints import quantize_keypoints
from micronet_keras.models import read_keras
from micronet_keras.quantize import QuantizeConfig, quantize_classifier
from micronet_keras.settings import define_flags, given_flags
from micronet_mcu.cli import script
from micronet_mcu.files import refuse_existing

# The bundled dataset of each task, and what quantizes its models.
TASKS = {
    "classification": (data.DEFAULT_DATASET, quantize_classifier),
    "detection": ("micronet_shapes/multi", quantize_detector),
    "keypoints": ("micronet_shapes/multi", quantize_keypoints),
}

_TASK = flags.DEFINE_enum("task", "classification", list(TASKS), "what the model was trained for")
_MODEL = flags.DEFINE_string("model", None, "the trained .keras file", required=True)
_MODE = flags.DEFINE_enum("mode", "qat", ["qat", "ptq"], "with fine-tuning or without")
_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "a TFDS name, or a folder with a sub-folder per class; the bundled dataset when not given",
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_OUT = flags.DEFINE_string("out", "out/quantized.npz", "the file to write")
_FORCE = flags.DEFINE_boolean("force", False, "replace --out when it exists")
define_flags(QuantizeConfig, __name__)


def main(argv: list[str]) -> None:
    del argv
    refuse_existing(_OUT.value, _FORCE.value)
    config = QuantizeConfig(**given_flags(QuantizeConfig))
    if _MODE.value == "ptq":
        config = dataclasses.replace(config, epochs=0)
    keras.utils.set_random_seed(config.seed)
    model = read_keras(_MODEL.value)
    dataset, quantize = TASKS[_TASK.value]
    source = data.load_dataset(_DATASET.value or dataset, _DATA_DIR.value)
    quantized = quantize(model, source, config, backup=f"{_OUT.value}.unfinished")
    quantized.save(_OUT.value)
    if source.bad_images:
        print(source.bad_images.summary())
    print(f"{_OUT.value}: {_MODE.value.upper()} of {_MODEL.value}; next: scripts/convert.py")


def run() -> None:
    script.run(main)
