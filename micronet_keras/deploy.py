"""From a quantized graph to the files that firmware is built from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from micronet_keras.quantize import QuantizedGraph
from micronet_keras.quantize.to_tflite import convert
from micronet_keras.tasks import TASKS
from micronet_mcu.files import replacing
from micronet_mcu.graph.read import read_model
from micronet_mcu.image_input import ImageInput
from micronet_mcu.runner import image_of
from micronet_mcu.to_tflm.c_array import write_c_array
from micronet_mcu.to_tflm.forms import Prepared, prepare_flatbuffer
from micronet_mcu.to_tflm.op_resolver import write_op_resolver


def deploy(
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

    >>> made = deploy("out/int8", QuantizedGraph.load("quantized.npz"), fuse="activations")
    >>> sorted(path.name for path in Path("out/int8").iterdir())
    ['model.tflite', 'model_data.cc', 'model_data.h', 'op_resolver.h']
    """
    flatbuffer = convert(quantized)
    sample = quantized.sample
    if sample is None:
        sample = np.zeros(quantized.graph.input.shape, np.uint8)
    image = ImageInput(image_of(read_model(flatbuffer))).stored(sample[None])
    made = prepare_flatbuffer(flatbuffer, image, fuse, groups, tune)
    names, answer = quantized.class_names, made.outputs[0]
    write_c_array(folder, made.flatbuffer, made.arena_bytes, image, answer, names, name)
    write_op_resolver(Path(folder, "op_resolver.h"), made.flatbuffer)
    task = TASKS.get(quantized.task)
    files = task.c_files(read_model(made.flatbuffer), names, name) if task else {}
    for file, text in files.items():
        with replacing(Path(folder, file)) as temporary:
            temporary.write_text(text)
    with replacing(Path(folder, f"{name}.tflite")) as temporary:
        temporary.write_bytes(made.flatbuffer)
    return made
