"""Compares a classifier's compiled C with TensorFlow Lite Micro on a labelled dataset.

The flatbuffer is compiled to plain C and built on this machine; the kernels give the same numbers
on every processor. Both run over the same images; accuracies, how often both agree and the largest
difference of two outputs (in int8 steps) are printed.

Example:

  python scripts/evaluate_compiled.py --model=out/demo/model.tflite --split=test
"""

import tempfile
from pathlib import Path

from absl import flags

from micronet_keras import data
from micronet_keras.evaluate.compiled import compare_with_tflm
from micronet_mcu.cli import script
from micronet_mcu.to_c import compile_model

_MODEL = flags.DEFINE_string("model", None, "the int8 .tflite", required=True)
_FUSE = flags.DEFINE_boolean("fuse", True, "make one call of every Dynamic Shift-Max")
_DATASET = flags.DEFINE_string(
    "dataset", data.DEFAULT_DATASET, "a TFDS name, or a folder with a sub-folder per class"
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_SPLIT = flags.DEFINE_string("split", "test", "the split to evaluate on")
_IMAGES = flags.DEFINE_integer("images", None, "only the first so many images", lower_bound=1)


def main(argv: list[str]) -> None:
    del argv
    source = data.load_dataset(_DATASET.value, _DATA_DIR.value)
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_model(_MODEL.value, Path(folder) / "c", fuse=_FUSE.value)
        result = compare_with_tflm(compiled, _MODEL.value, source, _SPLIT.value, _IMAGES.value)
    for name, value in result.items():
        print(f"{name:18} {value:.4f}" if isinstance(value, float) else f"{name:18} {value}")


def run() -> None:
    script.run(main)
