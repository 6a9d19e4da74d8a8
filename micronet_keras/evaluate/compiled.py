"""Compares the answers of compiled code with TensorFlow Lite Micro's on a labelled dataset."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from micronet_keras import data
from micronet_keras.data import Source
from micronet_keras.evaluate import accuracy, agreement
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes
from micronet_mcu.to_c import host
from micronet_mcu.to_c.compiler import Compiled
from micronet_mcu.to_tflm.interpreter import Interpreter


def compare_with_tflm(
    compiled: Compiled,
    model: str | os.PathLike | bytes,
    source: Source,
    split: str = "test",
    images: int | None = None,
) -> dict:
    """Runs the compiled C on this machine and the flatbuffer on TFLM, over the same images.

    The kernels give the same numbers on every processor, so this is what a board answers, too.

    Args:
        compiled: what `compile_model` made of `model`.
        model: the `.tflite` file of a classifier, or its bytes.
        source: a dataset with labels; images that do not decode are left out.
        split: the split to look at.
        images: only the first so many; None is all.

    Returns:
        `images`, `tflm_accuracy`, `c_accuracy`, `agreement` (shares from 0 to 1) and
        `largest_difference` (of two outputs, in int8 steps).

    Raises:
        UserError: the dataset has other classes than the model or no image, or the machine has no
            C compiler.

    Example:

    >>> compiled = compile_model("model.tflite", "out/c")
    >>> compare_with_tflm(compiled, "model.tflite", data.load_dataset())["c_accuracy"]
    """
    interpreter = Interpreter(model if isinstance(model, bytes) else read_bytes(Path(model)))
    outputs = interpreter.output.shape[-1]
    if outputs != len(source.class_names):
        raise UserError(
            f"the dataset {source.name} has {len(source.class_names)} classes, the model {outputs}"
        )
    batches = data.eval_batches(source, split, interpreter.input.shape[1], 64)
    batches = batches.unbatch().take(images or -1).batch(64)
    labels, inputs, expected = [], [], []
    for pixels, truth in tqdm(batches.as_numpy_iterator(), desc="TFLM", leave=False, disable=None):
        labels.append(truth)
        inputs.append(interpreter.quantize(pixels))
        expected += [interpreter.invoke(image[None]).ravel() for image in inputs[-1]]
    if not labels:
        raise UserError(f"split {split!r} of dataset {source.name} has no image that decodes")
    truth, expected = np.concatenate(labels), np.array(expected)
    rows = np.concatenate(inputs).reshape(len(truth), -1)
    found = host.run(compiled.folder, compiled.name, rows)
    return {
        "images": len(truth),
        "tflm_accuracy": accuracy(expected, truth),
        "c_accuracy": accuracy(found, truth),
        "agreement": agreement(expected, found),
        "largest_difference": int(np.abs(found.astype(int) - expected).max()),
    }
