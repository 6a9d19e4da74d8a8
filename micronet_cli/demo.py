"""The whole way in one go: draw a dataset, train MicroNet-M0, quantize, convert, run it on TFLM.

It leaves in --out: model.keras, model.tflite, model_data.h, model_data.cc, training_curve.png,
confusion_matrix.png and summary.json. Stopped, it goes on with the same command.

Example:

  micronet demo --out=out/demo
"""

import json
import shutil
from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_mcu.files import check_writable, replacing
from micronet_mcu.folders import Owner, claim
from micronet_mcu.locks import locked
from micronet_settings import RECIPES, QuantizeConfig

_OUT = flags.DEFINE_string("out", "out/demo", "the folder to write")
_DATA_DIR = flags.DEFINE_string("data_dir", "out/data", "where the drawn dataset is kept")


OWNER = Owner(
    "demo",
    ("model.keras", "model.tflite", "model_data.h", "model_data.cc", "op_resolver.h",
     "training_curve.png", "confusion_matrix.png", "summary.json"),
)  # fmt: skip


def main(argv: list[str]) -> None:
    del argv
    check_writable(_OUT.value, inside=True)
    out = Path(_OUT.value)
    with locked(out):
        claim(out, OWNER)
        _demo(out)


def _demo(out: Path) -> None:
    import keras

    from micronet_keras.compare import compare
    from micronet_keras.deploy import write_files
    from micronet_keras.quantize import QuantizedGraph, quantize
    from micronet_keras.train import train_network

    run = out / "train"
    config = RECIPES["classification"]["quick"]
    trained = train_network("classification", "m0", config, run, data_dir=_DATA_DIR.value)
    for name, copy in (("best.keras", "model.keras"), ("curve.png", "training_curve.png")):
        with replacing(out / copy) as temporary:
            shutil.copyfile(run / name, temporary)

    quantized = run / "ptq.npz"
    if not quantized.exists():
        keras.utils.set_random_seed(config.training.seed)
        # Post-training quantization loses next to nothing here; fine-tuning is for when it does.
        quantize(run, QuantizeConfig(epochs=0)).save(quantized)
    flatbuffer = write_files(out, QuantizedGraph.load(quantized)).flatbuffer

    result = compare(run, flatbuffer)
    result.measured["int8"].draw(out / "confusion_matrix.png", "MicroNet-M0, int8 on TFLM")
    summary = {
        "parameters": trained.summary["parameters"],
        "madds": trained.summary["madds"],
        **result.summary,
    }
    with replacing(out / "summary.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
    script.print_figures(summary)


def run() -> None:
    script.run(main)
