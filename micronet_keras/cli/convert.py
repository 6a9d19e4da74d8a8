"""Converts a quantized model to an int8 flatbuffer and to C sources for TensorFlow Lite Micro.

It leaves in --out:
  model.tflite     the flatbuffer
  model_data.h/.cc the same as a C array, with shapes, scales and zero points, labels, the arena
                   size that TFLM reported, and a test vector
  op_resolver.h    a C++ op resolver with exactly the model's operators

By default the flatbuffer has builtin operators only and runs on any TFLM. --fuse makes one custom
operator of every Dynamic Shift-Max, and of every dense layer that computes its coefficients;
--fuse=all makes custom operators of all convolutions and dense layers. Then the firmware needs the
operators in tflm/micronet and the kernels in tflm/kernels (scripts/export_firmware.py copies them
into a project), and desktop interpreters cannot run it.

CONV_2D with groups is missing in some ports of TFLM (Arduino's library, ESP-NN). --groups=dense
(more flash) and --groups=split (more operators) do without and give the same results bit for bit.
--tune=cmsis_nn is for TFLM with CMSIS-NN's convolutions (Cortex-M): what those run slowly gets
another form, of builtin operators and with the same results.

Examples:

  python scripts/convert.py --model=out/shapes/qat.npz --out=out/shapes/int8
  python scripts/convert.py --model=out/shapes/qat.npz --out=out/shapes/fused --fuse --tune=cmsis_nn
  python scripts/convert.py --model=out/shapes/qat.npz --out=out/shapes/arduino --groups=dense
"""

from collections import Counter

from absl import flags

from micronet_keras.deploy import write_files
from micronet_keras.quantize import QuantizedGraph
from micronet_mcu.cli import script
from micronet_mcu.folders import Owner, check_folder, listing, replacing_folder
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_tflm.forms import FUSE, TUNE, check_forms
from micronet_mcu.to_tflm.groups import FORMS

OWNER = Owner("convert", ("*.tflite", "*_data.h", "*_data.cc", "*_detector.h", "op_resolver.h"))


class _FuseParser(flags.EnumParser):
    """--fuse alone is --fuse=activations, --nofuse is --fuse=none."""

    def parse(self, argument):
        return super().parse({"true": "activations", "false": "none"}.get(argument, argument))


_MODEL = flags.DEFINE_string("model", None, "the .npz of scripts/quantize.py", required=True)
_OUT = flags.DEFINE_string("out", "out/int8", "the folder to write")
_NAME = flags.DEFINE_string("name", "model", "names the files, and prefixes every C name")
_FUSE = flags.DEFINE_flag(
    flags.Flag(
        _FuseParser(FUSE),
        flags.ArgumentSerializer(),
        "fuse",
        "none",
        f"<{'|'.join(FUSE)}>: what becomes custom operators; --fuse alone is --fuse=activations",
        boolean=True,
    )
)
_GROUPS = flags.DEFINE_enum("groups", None, FORMS, "how grouped convolutions are stored")
_TUNE = flags.DEFINE_enum("tune", "none", TUNE, "whose convolutions run what is not fused")
_FORCE = flags.DEFINE_boolean("force", False, "replace --out when this command wrote it")


def main(argv: list[str]) -> None:
    del argv
    check_forms(_FUSE.value, _GROUPS.value, _TUNE.value)
    check_folder(_OUT.value, OWNER, _FORCE.value)
    quantized = QuantizedGraph.load(_MODEL.value)
    with replacing_folder(_OUT.value, OWNER, _FORCE.value) as folder:
        made = write_files(
            folder,
            quantized,
            _NAME.value,
            fuse=_FUSE.value,
            groups=_GROUPS.value,
            tune=_TUNE.value,
        )
    operators = Counter(o.custom_name or o.name for o in read_model(made.flatbuffer).operators)
    counts = ", ".join(f"{count} {name}" for name, count in operators.most_common())
    print(f"{len(made.flatbuffer)} bytes, {operators.total()} operators: {counts}")
    print(f"arena: {made.arena_bytes} bytes, as a 64-bit machine counts them")
    print(f"{_OUT.value}: {listing(_OUT.value)}")


def run() -> None:
    script.run(main)
