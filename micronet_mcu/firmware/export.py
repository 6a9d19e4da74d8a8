"""Writes a firmware project: a platform's template, the application, the model."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from micronet_mcu.c_sources import c_sources
from micronet_mcu.errors import UserError
from micronet_mcu.firmware.answer import ANSWER_FILES, answer_header, answer_kind
from micronet_mcu.firmware.platforms import Platform, find_platform
from micronet_mcu.folders import Owner, check_folder, replacing_folder
from micronet_mcu.graph.kernels import KERNELS
from micronet_mcu.graph.read import read_model
from micronet_mcu.image_input import ImageInput
from micronet_mcu.shown import Shown, bytes_text, some_of
from micronet_mcu.tflite.model import Model
from micronet_mcu.tflite.reader import flatbuffer_bytes
from micronet_mcu.to_c import host
from micronet_mcu.to_c.compiler import compile_model, copy_kernels
from micronet_mcu.to_tflm.c_array import example_arrays, example_declarations, write_c_array
from micronet_mcu.to_tflm.forms import check_forms, prepare_flatbuffer
from micronet_mcu.to_tflm.interpreter import refuse_custom_operators
from micronet_mcu.to_tflm.op_resolver import operators_of, write_op_resolver

RUNTIMES = ("tflm", "c")
# Needed beside the tensors and the model: stack, the platform, the program.
_OTHER_RAM = 24 << 10
_OTHER_FLASH = {"tflm": 160 << 10, "c": 64 << 10}
# More than this of static memory goes to external RAM where a board has it.
_INTERNAL_RAM = 120 << 10

_APPLICATION = ("answer.h", "board.h", "firmware.cc", "firmware.h", "image.cc", "image.h",
                "protocol.cc", "protocol.h", "runtime.h", "status.cc", "status.h", "text.h",
                "top_k.cc", "top_k.h")  # fmt: skip
_RUNTIME = {
    "c": ("runtime_c.cc",),
    "tflm": ("runtime_tflm.cc", "micronet_runner.cc", "micronet_runner.h", "tflm_names.h",
             "dy_shift_max_op.cc", "dy_shift_max_op.h", "kernel_ops.cc", "kernel_ops.h"),
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Exported(Shown):
    """What `export_firmware` wrote.

    Attributes:
        folder: the project.
        operators: of the flatbuffer in it; empty for the runtime "c".
        arena_bytes: static memory for tensors.
        model_bytes: the flatbuffer, or the compiled model's constants.
    """

    folder: Path
    operators: list[str]
    arena_bytes: int
    model_bytes: int

    def facts(self) -> list[tuple[str, str]]:
        return [
            ("project", str(self.folder)),
            ("operators of TFLM", some_of(self.operators) or "none, the model is plain C"),
            ("SRAM", f"{bytes_text(self.arena_bytes)} for tensors"),
            ("flash", f"{bytes_text(self.model_bytes)} of model"),
        ]


def export_firmware(
    platform: str,
    model: Any,
    folder: str | os.PathLike[str],
    *,
    runtime: str = "tflm",
    fuse: str = "all",
    groups: str | None = None,
    tune: str = "none",
    image_source: str = "serial",
    labels: Sequence[str] = (),
    name: str = "micronet",
    test_image: np.ndarray | None = None,
    force: bool = False,
) -> Exported:
    """Writes a project that the platform's own tools build and flash.

    Args:
        platform: one of `PLATFORMS`.
        model: an int8 ``.tflite`` file of builtin operators, or its bytes: image in, and out one
            vector of scores, a detector's scores and boxes, or the heatmaps of keypoints.
        folder: the project to be written.
        runtime: "tflm", which the user's tool chain brings, or "c": the model compiled to plain C.
        fuse: for TFLM alone, as are `groups` and `tune`: "none" keeps builtin operators,
            "activations" fuses DY-ShiftMax, "all" runs convolutions and dense layers by this
            project's kernels, too.
        groups: how grouped convolutions are stored for TFLM ("native", "split", "dense"); None
            chooses what the platform's TFLM can run.
        tune: "cmsis_nn" for TFLM whose own convolutions are CMSIS-NN's.
        image_source: "serial" or "camera".
        labels: one for each class (or kind of point), or none.
        name: what the firmware calls itself over the serial line.
        test_image: pixels, uint8 of the input's shape, for the built-in test; noise without one.
        force: replace a folder that was exported before; what was put or built there stays.

    Raises:
        UserError: an argument is none of these, the model does not fit the board, is not an int8
            model of images, the folder exists or cannot be written, or the machine has no C
            compiler (needed for the runtime "c", whose built-in test's answer it computes).

    Example:

    >>> exported = export_firmware("esp32s3", "model.tflite", "out/esp32s3")
    >>> exported.operators[:2], (exported.folder / "main" / "main.cc").exists()
    (['ADD', 'AVERAGE_POOL_2D'], True)
    """
    target = find_platform(platform)
    model = flatbuffer_bytes(model)
    groups = _check(target, runtime, fuse, groups, tune, image_source, name)
    owner = _owner(target)
    check_folder(folder, owner, force)
    parsed = read_model(model)
    source = _image_model(parsed)
    outputs = [parsed.tensors[index] for index in parsed.outputs]
    kind = answer_kind(parsed)
    classes = outputs[0].shape[-1]
    if labels and len(labels) != classes:
        raise UserError(f"{len(labels)} labels for {classes} outputs; give one for each")
    image = _test_image(test_image, source)
    with replacing_folder(folder, owner, force) as project, tempfile.TemporaryDirectory() as work:
        flatbuffer, arena, model_bytes, answer = _prepare(
            model, runtime, fuse, groups, tune, image, Path(work)
        )
        answer = answer[: outputs[0].size]
        _check_memory(target, runtime, arena + image.size, model_bytes)
        large = target.external_ram and arena + image.size > _INTERNAL_RAM
        features = {runtime, platform, image_source, "psram" if large else "no-psram"}
        features |= {tune} if tune != "none" else set()
        _copy_template(target, project, features, {"NAME": name, "PLATFORM": platform})
        sources = project / target.sources
        sources.mkdir(parents=True, exist_ok=True)
        for file in (*_APPLICATION, *_RUNTIME[runtime]):
            shutil.copyfile(c_sources("micronet") / file, sources / file)
        for file in ANSWER_FILES[kind]:
            shutil.copyfile(c_sources(*file.split("/")), sources / Path(file).name)
        (sources / "model_answer.h").write_text(answer_header(parsed, labels))
        if runtime == "c":
            for path in sorted((Path(work) / "compiled").glob("*.[ch]")):
                shutil.copyfile(path, sources / path.name)
            _write_c_data(sources, image, answer, labels)
        else:
            copy_kernels((k for k in KERNELS.values() if k.custom_op), sources)
            write_op_resolver(sources / "op_resolver.h", flatbuffer)
            write_c_array(sources, flatbuffer, arena, image, answer, labels, "model")
            (project / "model.tflite").write_bytes(flatbuffer)
        _write_info(sources, name, source, [tensor.size for tensor in outputs], classes, arena,
                    bool(labels))  # fmt: skip
        if target.suffix != ".cc":
            for path in sorted(sources.glob("*.cc")):
                path.rename(path.with_suffix(target.suffix))
    operators = operators_of(flatbuffer) if runtime == "tflm" else []
    return Exported(Path(folder), operators, arena, model_bytes)


def _owner(target: Platform) -> Owner:
    template = [p.relative_to(target.folder).as_posix() for p in target.folder.rglob("*")]
    answers = [Path(file).name for files in ANSWER_FILES.values() for file in files]
    ours = [*_APPLICATION, *answers, "model_answer.h", *_RUNTIME["c"], *_RUNTIME["tflm"],
            "micronet_*.[ch]", "op_resolver.h", "model.[ch]", "model_weights.[ch]", "model_data.h",
            "model_data.cc", "model_info.cc"]  # fmt: skip
    sources = [f"{target.sources}/{name.replace('.cc', target.suffix)}" for name in ours]
    return Owner("export_firmware", (*template, *sources, "model.tflite"))


def _check(target: Platform, runtime, fuse, groups, tune, image_source, name) -> str:
    for what, value, known in (
        ("runtime", runtime, RUNTIMES),
        ("image source", image_source, ("serial", "camera")),
    ):
        if value not in known:
            raise UserError(f"the {what} must be one of {', '.join(known)}, not {value!r}")
    check_forms(fuse, groups, tune)
    if runtime == "c":
        given = {"fuse": fuse != "all", "groups": groups is not None, "tune": tune != "none"}
        for what in (name for name, is_given in given.items() if is_given):
            raise UserError(f"`{what}` is for TFLM; leave it out with `runtime=c`")
    if image_source == "camera" and not target.camera:
        raise UserError(f"the template of {target.name} has no camera; use `image_source=serial`")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise UserError(f"the name {name!r} must be up to 64 letters, digits, '_', '.' and '-'")
    builtin_convolutions = runtime == "tflm" and fuse != "all"
    if groups is None:
        return "native" if target.groups or not builtin_convolutions else "dense"
    if groups == "native" and builtin_convolutions and not target.groups:
        raise UserError(
            f"TFLM on {target.name} cannot run convolutions with groups; use `groups=dense`, "
            "`groups=split` or `fuse=all`"
        )
    return groups


def _image_model(model: Model) -> ImageInput:
    refuse_custom_operators(model)
    if len(model.inputs) != 1:
        raise UserError(f"the model has {len(model.inputs)} inputs; this firmware takes one image")
    source = model.tensors[model.inputs[0]]
    for what, index in (("input", model.inputs[0]), *(("output", i) for i in model.outputs)):
        dtype = model.tensors[index].dtype
        if dtype != np.int8:
            raise UserError(_not_int8(model, what, dtype.name))
    shape = source.shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3):
        raise UserError(f"the input {list(shape)} is no image of 1 or 3 channels")
    image = ImageInput(source)
    if not image.takes_pixels():
        raise UserError(
            f"the firmware gives the model pixel - 128, and this one takes {image.describe()}; put "
            "a Rescaling at the Keras model's beginning, so that it takes pixels"
        )
    return image


def _not_int8(model: Model, what: str, dtype: str) -> str:
    """What is so of a model whose ends are not int8: its inside may be."""
    weighty = [op for op in model.operators if op.name.startswith(("CONV", "DEPTHWISE", "FULLY"))]
    inside = {model.tensors[op.inputs[0]].dtype.name for op in weighty}
    if inside == {"int8"}:
        return (
            f"the model is int8 inside, but its {what} is {dtype}; convert it with "
            "inference_input_type and inference_output_type tf.int8"
        )
    return f"the model is {dtype}; quantize it to int8 first"


def _test_image(pixels: np.ndarray | None, source: ImageInput) -> np.ndarray:
    shape = source.tensor.shape[1:]
    if pixels is None:
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise UserError(
            f"the test image is {pixels.dtype} {list(pixels.shape)}; it must be uint8 {list(shape)}"
        )
    return source.stored(pixels[None])


def _prepare(model, runtime, fuse, groups, tune, image, work: Path):
    """The flatbuffer, the bytes of arena and constants, and the answer to the test image."""
    if runtime == "tflm":
        made = prepare_flatbuffer(model, image, fuse, groups, tune)
        return made.flatbuffer, made.arena_bytes, len(made.flatbuffer), made.outputs[0]
    compiled = compile_model(model, work / "compiled")
    answer = host.run(compiled.folder, compiled.name, compiled.program, image.reshape(1, -1))[0]
    return model, compiled.program.arena.plan.size, compiled.source.constant_bytes, answer


def _check_memory(target: Platform, runtime: str, ram: int, flash: int) -> None:
    for what, needed, other, there in (
        ("RAM", ram, _OTHER_RAM, target.ram_bytes),
        ("flash", flash, _OTHER_FLASH[runtime], target.flash_bytes),
    ):
        if there is not None and needed + other > there:
            raise UserError(
                f"the model needs about {needed + other} bytes of {what}, {target.name} has "
                f"{there}; take a smaller model or image"
            )


def _copy_template(target: Platform, project: Path, features: set[str], values: dict) -> None:
    """Copies the files; a line that ends in "@a,b-only@" stays when a or b is a feature."""
    for path in sorted(p for p in target.folder.rglob("*") if p.is_file()):
        place = path.relative_to(target.folder)
        if "camera" not in features and place.as_posix() in target.camera_files:
            continue
        lines = []
        for line in path.read_text(encoding="utf-8").splitlines():
            marker = re.search(r"\s*(?:#|//)?\s*@([a-z0-9,_-]+)-only@\s*$", line)
            if marker and not features & set(marker[1].split(",")):
                continue
            lines.append(line[: marker.start()] if marker else line)
        text = "\n".join(lines) + "\n"
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        copy = project / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")


def _write_c_data(sources: Path, image, answer, labels) -> None:
    """model_data.h and .cc for compiled C: as `write_c_array` makes them, but no flatbuffer."""
    header = (sources / "model.h").read_text()
    places = re.findall(r"^const int8_t \*(model_output\w*)\(void\);", header, re.MULTILINE)
    buffers = ", ".join(["nullptr"] * (1 + len(places)))
    size = "" if len(places) == 1 else f"#define MODEL_OUTPUT_SIZE {answer.size}\n"
    (sources / "model_data.h").write_text(f"""\
// The labels and the test vector of the compiled model.
#ifndef MODEL_DATA_H_
#define MODEL_DATA_H_

#include <stdint.h>

#include "model.h"

// What model_invoke takes where input and outputs stay in the arena; where the outputs lie there.
#define MODEL_NO_BUFFERS {buffers}
#define MODEL_OUTPUT_PLACES {{{", ".join(places)}}}
{size}
{example_declarations("model", labels)}
#endif  // MODEL_DATA_H_
""")
    (sources / "model_data.cc").write_text(f"""\
// The arrays declared in model_data.h.
#include "model_data.h"

{example_arrays("model", image, answer, labels)}""")


def _write_info(
    sources: Path, name: str, source: ImageInput, sizes: list[int], classes: int, arena: int,
    has_labels: bool,
) -> None:  # fmt: skip
    height, width, channels = source.tensor.shape[1:]
    labels = "model_labels" if has_labels else "nullptr"
    (sources / "model_info.cc").write_text(f"""\
// What the firmware says of its model.
#include "model_data.h"
#include "runtime.h"

namespace micronet {{
namespace {{

const int32_t kOutputSizes[] = {{{", ".join(map(str, sizes))}}};

}}  // namespace

const ModelInfo kModelInfo = {{
    "{name}", {height}, {width}, {channels}, {classes}, {len(sizes)}, kOutputSizes, {arena},
    {labels}, model_test_input, model_test_output,
}};

}}  // namespace micronet
""")
