"""The whole way in one go: draw a dataset, train MicroNet-M0, quantize, convert, run it on TFLM.

It leaves in --out: model.keras, model.tflite, model_data.h, model_data.cc, training_curve.png,
confusion_matrix.png and summary.json. Stopped, it goes on with the same command.

Example:

  python scripts/demo.py --out=out/demo
"""

import json
import shutil
from pathlib import Path

import keras
from absl import flags

from micronet_keras import data
from micronet_keras.deploy import deploy
from micronet_keras.evaluate import compare_classifiers, confusion_matrix, plot_confusion
from micronet_keras.models import MicroNetM0, count_madds, read_keras
from micronet_keras.quantize import QuantizeConfig, QuantizedGraph, quantize_classifier
from micronet_keras.train import RECIPES, make_repeatable, train_classifier
from micronet_mcu.cli import script
from micronet_mcu.files import replacing

_OUT = flags.DEFINE_string("out", "out/demo", "the folder to write")
_DATA_DIR = flags.DEFINE_string("data_dir", "out/data", "where the drawn dataset is kept")


def main(argv: list[str]) -> None:
    del argv
    out = Path(_OUT.value)
    config = RECIPES["quick"]
    make_repeatable(config)
    source = data.load_dataset(data.DEFAULT_DATASET, _DATA_DIR.value)
    model = MicroNetM0(
        input_shape=(config.image_size, config.image_size, 3),
        classes=len(source.class_names),
        dropout_rate=config.dropout,
    )
    train_classifier(model, source, config, out / "train")
    for name, copy in (("best.keras", "model.keras"), ("curve.png", "training_curve.png")):
        with replacing(out / copy) as temporary:
            shutil.copyfile(out / "train" / name, temporary)

    model = read_keras(out / "model.keras")
    quantized_path = out / "train" / "quantized.npz"
    if not quantized_path.exists():
        keras.utils.set_random_seed(config.seed)
        # Post-training quantization loses next to nothing here; fine-tuning is for when it does.
        settings = QuantizeConfig(epochs=0, min_scale=config.min_scale)
        backup = out / "train" / "quantized.unfinished"
        quantize_classifier(model, source, settings, backup).save(quantized_path)
    flatbuffer = deploy(out, QuantizedGraph.load(quantized_path)).flatbuffer

    result = compare_classifiers(model, flatbuffer, source, config.test_split)
    counts = confusion_matrix(result.int8_outputs, result.labels)
    title = f"MicroNet-M0, int8 on TFLM: {result.summary['int8_accuracy']:.1%} of the test split"
    plot_confusion(out / "confusion_matrix.png", counts, source.class_names, title)
    summary = {
        "parameters": model.count_params(),
        "madds": count_madds(model).total,
        **result.summary,
    }
    with replacing(out / "summary.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
    for name, value in summary.items():
        print(f"{name:16} {value:.4f}" if isinstance(value, float) else f"{name:16} {value}")


def run() -> None:
    script.run(main)
