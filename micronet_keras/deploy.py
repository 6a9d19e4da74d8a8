"""From a quantized graph to the files that firmware is built from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from micronet_keras.convert import convert, write_c_array
from micronet_keras.detection import Int8Decoder, write_c_detector
from micronet_keras.evaluate import TFLMInterpreter
from micronet_keras.files import replacing
from micronet_keras.quantize import QuantizedGraph


def deploy(folder: str | os.PathLike, quantized: QuantizedGraph, name: str = "model") -> bytes:
    """Writes ``<name>.tflite``, ``<name>_data.h`` and ``<name>_data.cc`` into `folder`.

    The flatbuffer runs once on TensorFlow Lite Micro, which gives the arena size and the answer to
    the test vector in the C files. For a detector, whose outputs are several, there is also
    ``<name>_detector.h`` with what `tflm/detection` needs to decode them.

    Args:
        folder: created when missing; files of these names are replaced.
        quantized: what quantization returned. Its sample is the test vector; black without one.
        name: a C identifier.

    Returns:
        The flatbuffer.

    Raises:
        UserError: the files cannot be written, `name` is no C identifier, or TFLM cannot run it.

    Example:

    >>> deploy("out/int8", QuantizedGraph.load("out/quantized.npz"))
    """
    flatbuffer = convert(quantized)
    interpreter = TFLMInterpreter(flatbuffer)
    sample = quantized.sample
    if sample is None:
        sample = np.zeros(quantized.graph.input.shape, np.uint8)
    image = (sample.astype(np.int16) - 128).astype(np.int8)[None]
    answer = interpreter.invoke(image)
    arena = interpreter.arena_bytes
    write_c_array(folder, flatbuffer, arena, image, answer, quantized.class_names, name)
    if len(interpreter.outputs) > 1:
        decoder = Int8Decoder(interpreter.outputs, image.shape[1:3])
        header = Path(folder, f"{name}_detector.h")
        write_c_detector(header, decoder, quantized.class_names, name)
    with replacing(Path(folder, f"{name}.tflite")) as temporary:
        temporary.write_bytes(flatbuffer)
    return flatbuffer
