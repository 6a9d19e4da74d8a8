"""Converts a quantized model to an int8 flatbuffer and to C arrays for TensorFlow Lite Micro.

It leaves in --out: model.tflite, model_data.h and model_data.cc (the flatbuffer, shapes, scales and
zero points, labels, the arena size that TFLM reported, and a test vector).

Example:

  python scripts/convert.py --model=out/shapes/qat.npz --out=out/shapes/int8
"""

from collections import Counter
from pathlib import Path

from absl import flags

from micronet_keras import cli
from micronet_keras.convert import read_model
from micronet_keras.deploy import deploy
from micronet_keras.files import refuse_existing, replacing
from micronet_keras.quantize import QuantizedGraph

_MODEL = flags.DEFINE_string("model", None, "the .npz of scripts/quantize.py", required=True)
_OUT = flags.DEFINE_string("out", "out/int8", "the folder to write")
_NAME = flags.DEFINE_string("name", "model", "names the files, and prefixes every C name")
_FORCE = flags.DEFINE_boolean("force", False, "replace --out when it exists")


def main(argv: list[str]) -> None:
    del argv
    refuse_existing(_OUT.value, _FORCE.value)
    quantized = QuantizedGraph.load(_MODEL.value)
    with replacing(_OUT.value) as folder:
        folder.mkdir()
        flatbuffer = deploy(folder, quantized, _NAME.value)
    operators = Counter(operator.name for operator in read_model(flatbuffer).operators)
    counts = ", ".join(f"{count} {name}" for name, count in operators.most_common())
    print(f"{len(flatbuffer)} bytes, {operators.total()} operators: {counts}")
    print(f"{_OUT.value}: {', '.join(sorted(path.name for path in Path(_OUT.value).iterdir()))}")


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
