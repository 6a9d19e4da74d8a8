"""From a trained model to the files that firmware is built from, and a report of what they cost."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from micronet_keras.lower.graph import Graph
from micronet_keras.quantize import QuantizedGraph, post_training_quantize
from micronet_keras.quantize.calibrate import few_of
from micronet_keras.quantize.fidelity import measured
from micronet_keras.quantize.quantized_graph import as_quantized
from micronet_keras.quantize.to_tflite import convert
from micronet_keras.tasks import TASKS
from micronet_mcu.boards import Benchmark, BoardCost, count_on_board, find
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing
from micronet_mcu.folders import Owner, claim
from micronet_mcu.graph.read import read_model
from micronet_mcu.image_input import ImageInput
from micronet_mcu.runner import image_of
from micronet_mcu.shown import Shown, Table, bytes_text
from micronet_mcu.to_c.compiler import Compiled, compile_model
from micronet_mcu.to_tflm.c_array import write_c_array
from micronet_mcu.to_tflm.forms import Prepared, prepare_flatbuffer
from micronet_mcu.to_tflm.op_resolver import write_op_resolver


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Report(Shown):
    """What `deploy` made and what it costs; prints as a table, in a notebook, too.

    Attributes:
        folder: with the files.
        quantized: what was converted; its `signal_to_noise` is in dB, its `doubts` say what is odd.
        flatbuffer: bytes of the ``.tflite`` file.
        arena_bytes: what TensorFlow Lite Micro needs for it, as a 64-bit machine counts.
        outputs: its int8 answers to the test vector, one array for each output.
        image: the meaning of the input.
        compiled: the plain C; None where there is none.
        cost: of the plain C on the board; None where it was not counted.
        board: that it was counted for.
        files: what was written, relative to `folder`.
        missing: why `compiled` or `cost` is None; empty where neither is.
    """

    folder: Path
    quantized: QuantizedGraph
    flatbuffer: bytes
    arena_bytes: int
    outputs: list[np.ndarray]
    image: ImageInput
    compiled: Compiled | None
    cost: BoardCost | None
    board: str | None
    files: tuple[str, ...]
    missing: str = ""

    def facts(self) -> list[tuple[str, str]]:
        tensor, decibels = self.image.tensor, self.quantized.signal_to_noise
        rows = [
            ("input", self.image.describe()),
            ("", f"scale {tensor.scale[0]:.6g}, zero point {tensor.zero_point[0]}"),
            ("int8 against float", "not measured" if decibels is None else f"{decibels:.1f} dB"),
            *(("", doubt) for doubt in self.quantized.doubts),
            ("flatbuffer", bytes_text(len(self.flatbuffer))),
            ("on TFLM", f"{bytes_text(self.arena_bytes)} of arena at most"),
        ]
        if self.compiled is not None:
            arena, weights = self.compiled.program.arena.plan.size, self.compiled.source
            constants = bytes_text(weights.constant_bytes)
            if self.cost is None:
                rows += [
                    ("as plain C, SRAM", f"{bytes_text(arena)} of arena"),
                    ("as plain C, flash", f"{constants} of weights and tables"),
                ]
            else:
                code = bytes_text(self.cost.flash_code_bytes)
                rows += [
                    ("as plain C, SRAM", f"{bytes_text(self.cost.sram_bytes)} with the stack"),
                    ("as plain C, flash", f"{constants} of weights and tables, {code} of code"),
                    (f"on a {self.board}", f"{self.cost.instructions:,} instructions an image"),
                ]
        if self.missing:
            rows.append(("not counted", self.missing))
        return [*rows, (f"files in {self.folder}", ", ".join(self.files))]

    def tables(self) -> list[Table]:
        if self.cost is None or self.board is None:
            return []
        return Benchmark({self.board: self.cost}).tables()


def deploy(
    model: Any,
    images: Any = None,
    folder: str | os.PathLike | None = None,
    *,
    name: str = "model",
    class_names: Iterable[str] = (),
    board: str | None = "cortex-m4",
    fuse: str = "none",
    groups: str | None = None,
    tune: str = "none",
) -> Report | Prepared:
    """Quantizes a model, writes all that firmware is built from, and says what it costs.

    The folder gets what `write_files` writes, and in ``c/`` the model compiled to plain C. An
    earlier result of this function there is replaced.

    ``deploy(folder, quantized, name, ...)``, as it was before, is `write_files`.

    Args:
        model: a trained Keras model, which is quantized after training; a quantization-aware
            model; or what is quantized already: a `QuantizedGraph` or the ``.npz`` file of one.
        images: for a Keras model training images, some hundreds, as
            `micronet_keras.quantize.calibrate` takes them. For others they may be left out.
            A `Source` or a tf.data set of Keras brings its `class_names` with it.
        folder: created when missing.
        name: a C identifier, of the files and their symbols.
        class_names: what the outputs mean; when there are none here, those of the images or of the
            quantized graph.
        board: an emulated board on which the plain C is counted, where its tools are installed;
            None does not count.
        fuse, groups, tune: the form of the flatbuffer, see
            `micronet_mcu.to_tflm.prepare_flatbuffer`.

    Returns:
        The `Report`.

    Raises:
        UserError: the model cannot be lowered, the images are not what it takes, the folder has
            files of these names that are somebody else's, or as `write_files`.

    Example:

    >>> report = deploy(model, images, "out/board", board=None)
    >>> print(report)
    input               32 x 32 x 3 pixels, 0 to 255, stored as pixel - 128
                        scale 0.0173521, zero point -12
    int8 against float  ... dB
    flatbuffer          ... bytes
    on TFLM             ... bytes of arena at most
    as plain C, SRAM    ... bytes of arena
    as plain C, flash   ... bytes of weights and tables
    files in out/board  c/*.[ch], model.tflite, model_data.cc, model_data.h, op_resolver.h
    """
    if isinstance(images, QuantizedGraph):
        name = name if folder is None else os.fspath(folder)
        return write_files(model, images, name, fuse=fuse, groups=groups, tune=tune)
    if folder is None:
        raise UserError('name the folder to write: deploy(model, images, "out/board")')
    if board is not None:
        find(board)
    place = Path(folder)
    known = (f"{name}.tflite", f"{name}_data.h", f"{name}_data.cc", "op_resolver.h")
    claim(place, Owner("deploy", known))
    quantized = _quantized(model, images, tuple(class_names or _names_of(images)))
    plain = convert(quantized)
    made = _write(place, quantized, plain, name, fuse, groups, tune)
    compiled, cost, missing = _compiled(plain, place / "c", name, board)
    extra = _task_files(quantized, made.flatbuffer, name)
    return Report(
        folder=place,
        quantized=quantized,
        flatbuffer=made.flatbuffer,
        arena_bytes=made.arena_bytes,
        outputs=made.outputs,
        image=ImageInput(image_of(read_model(plain))),
        compiled=compiled,
        cost=cost,
        board=board,
        files=tuple(sorted({*known, *extra, *(["c/*.[ch]"] if compiled else [])})),
        missing=missing,
    )


def write_files(
    folder: str | os.PathLike,
    quantized: QuantizedGraph,
    name: str = "model",
    *,
    fuse: str = "none",
    groups: str | None = None,
    tune: str = "none",
) -> Prepared:
    """Writes ``<name>.tflite``, ``<name>_data.h``, ``<name>_data.cc`` and ``op_resolver.h``.

    The flatbuffer runs once on TensorFlow Lite Micro, which gives the arena size and the answer to
    the test vector in the C files; ``op_resolver.h`` registers exactly its operators. What the
    task's outputs need to be decoded is there, too: ``<name>_detector.h`` for a detector.

    Args:
        folder: created when missing; files of these names are replaced.
        quantized: what quantization returned. Its sample is the test vector; black without one.
        name: a C identifier.
        fuse, groups, tune: the form of the flatbuffer, see
            `micronet_mcu.to_tflm.prepare_flatbuffer`.

    Returns:
        The flatbuffer, its arena and its answers to the test vector.

    Raises:
        UserError: the files cannot be written, `name` is no C identifier, the form is unknown or
            its parts do not go together, or TFLM cannot run the model.

    Example:

    >>> made = write_files("out/int8", QuantizedGraph.load("quantized.npz"), fuse="activations")
    >>> sorted(path.name for path in Path("out/int8").iterdir())
    ['model.tflite', 'model_data.cc', 'model_data.h', 'op_resolver.h']
    """
    return _write(Path(folder), quantized, convert(quantized), name, fuse, groups, tune)


def _write(
    folder: Path,
    quantized: QuantizedGraph,
    flatbuffer: bytes,
    name: str,
    fuse: str,
    groups: str | None,
    tune: str,
) -> Prepared:
    sample = quantized.sample
    if sample is None:
        sample = np.zeros(quantized.graph.input.shape, np.uint8)
    image = ImageInput(image_of(read_model(flatbuffer))).stored(sample[None])
    made = prepare_flatbuffer(flatbuffer, image, fuse, groups, tune)
    names, answer = quantized.class_names, made.outputs[0]
    write_c_array(folder, made.flatbuffer, made.arena_bytes, image, answer, names, name)
    write_op_resolver(folder / "op_resolver.h", made.flatbuffer)
    for file, text in _task_files(quantized, made.flatbuffer, name).items():
        with replacing(folder / file) as temporary:
            temporary.write_text(text)
    with replacing(folder / f"{name}.tflite") as temporary:
        temporary.write_bytes(made.flatbuffer)
    return made


def _task_files(quantized: QuantizedGraph, flatbuffer: bytes, name: str) -> dict[str, str]:
    task = TASKS.get(quantized.task)
    return task.c_files(read_model(flatbuffer), quantized.class_names, name) if task else {}


def _quantized(model: Any, images: Any, class_names: tuple[str, ...]) -> QuantizedGraph:
    if isinstance(model, keras.Model | Graph) and not hasattr(model, "quantized_graph"):
        if images is None:
            raise UserError(
                "a Keras model is quantized with training images; give some hundreds: "
                "deploy(model, images, folder)"
            )
        return post_training_quantize(model, images, class_names)
    quantized = as_quantized(model)
    if class_names:
        quantized = dataclasses.replace(quantized, class_names=class_names)
    if images is not None:
        quantized = measured(quantized, few_of(images, quantized.graph))
    return quantized


def _names_of(images: Any) -> Iterable[str]:
    """The class names that a dataset has: a `Source`, or a tf.data set of Keras."""
    return getattr(images, "class_names", None) or ()


def _compiled(
    flatbuffer: bytes, folder: Path, name: str, board: str | None
) -> tuple[Compiled | None, BoardCost | None, str]:
    """The plain C, its cost, and why there is none of them."""
    try:
        compiled = compile_model(flatbuffer, folder, name=name, force=True)
    except UserError as error:
        return None, None, f"no plain C: {error}"
    if board is None:
        return compiled, None, ""
    try:
        return compiled, count_on_board(compiled, find(board)), ""
    except UserError as error:
        return compiled, None, f"code, stack and instructions on a {board}: {error}"
