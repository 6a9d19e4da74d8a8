"""Writes a firmware project for a board: its tool chain's files, the application, the model.

The project's README.md has the commands that build and flash it. TensorFlow Lite Micro is brought
by the platform (a component, a module, a library); with --runtime=c it is not needed at all.

MODEL is an int8 .tflite file, or the folder of a run, whose RUN/int8/model.tflite and class names
are taken then. --output is RUN/<platform> when it is not given.

Examples:

  micronet export out/shapes --platform=pico --runtime=c
  micronet export model.tflite --platform=esp32s3 --output=out/esp32s3
"""

import warnings

import numpy as np
from absl import flags

from micronet_cli import script
from micronet_cli.run_files import beside, flatbuffer_of, named_model, read_class_names
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes
from micronet_mcu.firmware import PLATFORMS, RUNTIMES, export_firmware
from micronet_mcu.firmware.flash import FLASHED
from micronet_mcu.to_tflm.forms import FUSE, TUNE
from micronet_mcu.to_tflm.groups import FORMS

_PLATFORM = flags.DEFINE_enum("platform", None, list(PLATFORMS), "the board's kind", required=True)
_MODEL = flags.DEFINE_string("model", None, "the same as MODEL")
_OUTPUT = flags.DEFINE_string("output", None, "the folder to write; RUN/<platform>")
_RUNTIME = flags.DEFINE_enum(
    "runtime", "tflm", RUNTIMES, "TensorFlow Lite Micro, or the model compiled to C"
)
_FUSE = flags.DEFINE_enum(
    "fuse", "all", FUSE,
    "for tflm: builtin operators only; DY-ShiftMax fused, with the dense layers of its "
    "coefficients; or all convolutions and dense layers by this project's kernels",
)  # fmt: skip
_GROUPS = flags.DEFINE_enum(
    "groups", None, FORMS,
    "for tflm: how grouped convolutions are stored; by default what the platform's TFLM can run",
)  # fmt: skip
_TUNE = flags.DEFINE_enum(
    "tune", "none", TUNE,
    "for tflm: put layers that are not fused into the forms that CMSIS-NN runs fastest",
)  # fmt: skip
_SOURCE = flags.DEFINE_enum(
    "image_source", "serial", ["serial", "camera"], "where images come from"
)
_LABELS = flags.DEFINE_string("labels", None, "text file, one class a line; the run's own")
_NAME = flags.DEFINE_string("name", "micronet", "what the firmware calls its model")
_TEST_IMAGE = flags.DEFINE_string(
    "test_image", None, "picture for the built-in test (resized); noise without it"
)
# Decoded to RGB it takes 200 MB.
_LARGEST_IMAGE = 1 << 26
_FORCE = flags.DEFINE_boolean(
    "force", False, "replace --output when this command wrote it; what was built there stays"
)


def main(argv: list[str]) -> None:
    given = named_model(argv, _MODEL.value, "MODEL.tflite or RUN")
    output = beside(given, _OUTPUT.value, _PLATFORM.value)
    model = read_bytes(flatbuffer_of(given))
    labels = read_class_names(given)
    if _LABELS.value:
        labels = read_bytes(_LABELS.value).decode("utf-8", "replace").split("\n")
    exported = export_firmware(
        _PLATFORM.value,
        model,
        output,
        runtime=_RUNTIME.value,
        fuse=_FUSE.value,
        groups=_GROUPS.value,
        tune=_TUNE.value,
        image_source=_SOURCE.value,
        labels=[label.strip() for label in labels if label.strip()],
        name=_NAME.value,
        test_image=_picture(_TEST_IMAGE.value, model) if _TEST_IMAGE.value else None,
        force=_FORCE.value,
    )
    print(f"{exported.folder}: {exported.model_bytes} bytes of model in flash, "
          f"{exported.arena_bytes} bytes of RAM for tensors")  # fmt: skip
    if exported.operators:
        print("operators: " + ", ".join(exported.operators))
    print(f"next: {exported.folder / 'README.md'} says how to build it")
    if _PLATFORM.value in FLASHED:
        print(f"      {script.command('flash')} --platform={_PLATFORM.value} --project={output}")


def _picture(path: str, model: bytes) -> np.ndarray:
    from PIL import Image

    from micronet_mcu.graph.read import read_model

    parsed = read_model(model)
    shape = parsed.tensors[parsed.inputs[0]].shape
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise UserError(f"the input {list(shape)} is no image of 1 or 3 channels")
    _, height, width, channels = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What matters is refused below.
            picture = Image.open(path)
        with picture:
            if picture.width * picture.height > _LARGEST_IMAGE:
                raise ValueError(f"it has more than {_LARGEST_IMAGE:,} pixels")
            small = picture.convert("RGB" if channels == 3 else "L").resize((width, height))
    except Exception as error:  # Of every kind, for a damaged file.
        raise UserError(f"cannot read the picture {path}: {error}") from None
    return np.asarray(small, np.uint8).reshape(height, width, channels)


def run() -> None:
    script.run(main, positional="MODEL")
