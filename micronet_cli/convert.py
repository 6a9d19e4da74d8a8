"""Converts a quantized model to an int8 flatbuffer and to C sources for TensorFlow Lite Micro.

RUN is the folder of a run that was quantized; or name the .npz file itself. It leaves in --out,
RUN/int8 when that is not given:
  model.tflite     the flatbuffer
  model_data.h/.cc the same as a C array, with shapes, scales and zero points, labels, the arena
                   size that TFLM reported, and a test vector
  op_resolver.h    a C++ op resolver with exactly the model's operators

By default the flatbuffer has builtin operators only and runs on any TFLM. --fuse makes one custom
operator of every Dynamic Shift-Max, and of every dense layer that computes its coefficients;
--fuse=all makes custom operators of all convolutions and dense layers. Then the firmware needs the
operators in tflm/micronet and the kernels in tflm/kernels (micronet export copies them
into a project), and desktop interpreters cannot run it.

CONV_2D with groups is missing in some ports of TFLM (Arduino's library, ESP-NN). --groups=dense
(more flash) and --groups=split (more operators) do without and give the same results bit for bit.
--tune=cmsis_nn is for TFLM with CMSIS-NN's convolutions (Cortex-M): what those run slowly gets
another form, of builtin operators and with the same results.

Examples:

  micronet convert out/shapes
  micronet convert out/shapes/qat.npz --out=out/shapes/fused --fuse --tune=cmsis_nn
  micronet convert out/shapes/qat.npz --out=out/shapes/arduino --groups=dense
"""

from collections import Counter
from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_cli.run_files import beside, named_model, quantized_of
from micronet_mcu.folders import CONVERTED, check_folder, listing, replacing_folder
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_tflm.forms import FUSE, TUNE, check_forms
from micronet_mcu.to_tflm.groups import FORMS


class _FuseParser(flags.EnumParser):
    """--fuse alone is --fuse=activations, --nofuse is --fuse=none."""

    def parse(self, argument):
        return super().parse({"true": "activations", "false": "none"}.get(argument, argument))


_MODEL = flags.DEFINE_string("model", None, "the same as RUN")
_OUT = flags.DEFINE_string(
    "out", None, "the folder to write; RUN/int8, or out/int8 where the model is a file"
)
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
    check_forms(_FUSE.value, _GROUPS.value, _TUNE.value)
    given = named_model(argv, _MODEL.value, "RUN or .npz file")
    out = beside(given, _OUT.value, "int8", "out/int8")
    check_folder(out, CONVERTED, _FORCE.value)
    file = quantized_of(given)
    from micronet_keras.deploy import write_files
    from micronet_keras.quantize import QuantizedGraph

    quantized = QuantizedGraph.load(file)
    print(f"{file}: {len(quantized.class_names)} classes: {', '.join(quantized.class_names[:8])}")
    with replacing_folder(out, CONVERTED, _FORCE.value) as folder:
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
    print(f"{out}: {listing(out)}")
    if Path(given).is_dir() and not _OUT.value:
        print(f"next: {script.command('evaluate')} {given}, {script.command('compile')} {given}")
    else:
        flatbuffer = Path(out, f"{_NAME.value}.tflite")
        print(f"next: {script.command('compile')} {flatbuffer}")


def run() -> None:
    script.run(main, positional="RUN")
