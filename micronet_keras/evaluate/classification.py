"""A classifier's answers on a dataset: in float, and on TensorFlow Lite Micro."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
from tqdm import tqdm

from micronet_keras import data
from micronet_keras.evaluate.compare import accuracy, agreement, signal_to_noise
from micronet_keras.models import preprocess_input
from micronet_mcu.errors import UserError
from micronet_mcu.to_tflm.interpreter import Interpreter


class Comparison(NamedTuple):
    """What `compare_classifiers` returns.

    Attributes:
        labels: int32 [n].
        float_outputs, int8_outputs: float32 [n, classes].
        summary: `images`, `float_accuracy`, `int8_accuracy`, `agreement` (shares from 0 to 1),
            `sqnr_db`, `arena_bytes`, `flash_bytes`.
    """

    labels: np.ndarray
    float_outputs: np.ndarray
    int8_outputs: np.ndarray
    summary: dict


def compare_classifiers(
    model: keras.Model,
    flatbuffer: bytes,
    source: data.Source,
    split: str = "test",
    images: int | None = None,
    on_bad_image: str = "skip",
) -> Comparison:
    """Runs both forms of a classifier over the same images.

    Args:
        model: the Keras model; takes what `preprocess_input` returns.
        flatbuffer: its int8 form, run on the real TFLM interpreter, image by image.
        source: a dataset with labels.
        split: the split to look at.
        images: only the first so many; None is all.
        on_bad_image: "skip" leaves out images that do not decode and notes them in
            `source.bad_images`; "error" refuses them.

    Raises:
        UserError: the model, the flatbuffer and the dataset do not fit each other, or the
            flatbuffer cannot be run.

    Example:

    >>> compare_classifiers(model, flatbuffer, load_dataset()).summary["int8_accuracy"]
    """
    interpreter = Interpreter(flatbuffer)
    size = interpreter.input.shape[1]
    classes = {
        "the dataset": len(source.class_names),
        "the Keras model": model.output_shape[-1],
        "the flatbuffer": interpreter.output.shape[-1],
    }
    if len(set(classes.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in classes.items())
        raise UserError(f"the numbers of classes differ: {counts}")
    if tuple(model.input_shape[1:]) != tuple(interpreter.input.shape[1:]):
        raise UserError(
            f"the Keras model takes images of {tuple(model.input_shape[1:])}, the flatbuffer of "
            f"{tuple(interpreter.input.shape[1:])}; they are not the same model"
        )
    total = min(images or source.splits.get(split, 0), source.splits.get(split, 0))
    batches = data.eval_batches(source, split, size, 64, on_bad_image=on_bad_image)
    batches = batches.unbatch().take(images or -1).batch(64)
    labels, float_outputs, int8_outputs = [], [], []
    with tqdm(total=total, desc=f"{split} split on TFLM", unit="image", leave=False) as progress:
        for pixels, truth in batches.as_numpy_iterator():
            labels.append(truth)
            float_outputs.append(
                keras.ops.convert_to_numpy(model(preprocess_input(pixels), training=False))
            )
            int8_outputs.append(interpreter.predict(pixels))
            progress.update(len(pixels))
    if not labels:
        raise UserError(f"split {split!r} of dataset {source.name} has no image that decodes")
    labels, float_outputs, int8_outputs = map(np.concatenate, (labels, float_outputs, int8_outputs))
    summary = {
        "images": len(labels),
        "float_accuracy": accuracy(float_outputs, labels),
        "int8_accuracy": accuracy(int8_outputs, labels),
        "agreement": agreement(float_outputs, int8_outputs),
        "sqnr_db": signal_to_noise(float_outputs, int8_outputs),
        "arena_bytes": interpreter.arena_bytes,
        "flash_bytes": len(flatbuffer),
    }
    return Comparison(labels, float_outputs, int8_outputs, summary)
