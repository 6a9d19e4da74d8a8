"""A detector in int8: quantization on a dataset, and detection on TensorFlow Lite Micro."""

from __future__ import annotations

import dataclasses
import os
import shutil
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from micronet_keras.boxes import PointCoder, class_count, coder_of
from micronet_keras.data import Source
from micronet_keras.detection.evaluation import (
    detector_function,
    evaluate_detector,
    plot_examples,
)
from micronet_keras.detection.pipeline import as_targets, eval_batches, train_batches
from micronet_keras.losses import DetectionLoss
from micronet_keras.lower import lower
from micronet_keras.quantize import (
    QuantizeConfig,
    QuantizedGraph,
    fine_tune,
    post_training_quantize,
    quantize_aware,
)
from micronet_mcu.decode.detection import Detections, Int8Decoder, Selection
from micronet_mcu.errors import UserError
from micronet_mcu.to_tflm.interpreter import Interpreter


def quantize_detector(
    model: keras.Model,
    source: Source,
    config: QuantizeConfig,
    backup: str | os.PathLike,
    verbose: int | str = "auto",
) -> QuantizedGraph:
    """Quantizes a light detector's raw outputs, with fine-tuning when ``config.epochs`` > 0.

    Args:
        model: a trained `light_detector` that takes what `preprocess_input` returns.
        source: the dataset that it was trained on.
        config: see `micronet_keras.quantize.QuantizeConfig`; `min_scale` is the smallest side of
            the random crops.
        backup: folder for the state of an unfinished fine-tuning; the same call resumes from it.
        verbose: progress as of ``keras.Model.fit``.

    Raises:
        UserError: the dataset has no such split, too few images, or another number of classes.
        ValueError: not a light detector.

    Example:

    >>> config = QuantizeConfig(epochs=0)  # post-training quantization
    >>> flatbuffer = convert(quantize_detector(model, source, config, "out/backup"))
    """
    coder = coder_of(model)
    if not isinstance(coder, PointCoder):
        raise ValueError(f"Only a light detector is quantized. Received: {model.name!r}")
    if class_count(model) != len(source.object_class_names):
        raise UserError(
            f"the model has {class_count(model)} classes, dataset {source.name} has "
            f"{len(source.object_class_names)}; choose the dataset that it was trained on"
        )
    source = config.splits(source)
    graph = lower(model)
    size = graph.input.shape[0]
    batches = eval_batches(
        source, config.train_split, size, config.batch_size, on_bad_image=config.on_bad_image
    )
    wanted = -(-config.calibration_images // config.batch_size)
    images = [pixels for pixels, _ in batches.take(wanted).as_numpy_iterator()]
    names = tuple(source.object_class_names)
    if config.epochs == 0:
        quantized = post_training_quantize(graph, images, names)
        return dataclasses.replace(quantized, sample=images[0][0])

    def training(first_epoch: int) -> tf.data.Dataset:
        return train_batches(
            source,
            config.train_split,
            size,
            config.batch_size,
            config.seed,
            first_epoch,
            config.epochs,
            smallest_window=config.min_scale,
            largest_window=1.1,
            on_bad_image=config.on_bad_image,
        )

    validation = None
    if config.validation_split:
        validation = eval_batches(
            source,
            config.validation_split,
            size,
            config.batch_size,
            on_bad_image=config.on_bad_image,
        ).map(as_targets)
    steps = source.splits[config.train_split] // config.batch_size
    qat = quantize_aware(graph, images, join=_pack)
    fine_tune(
        qat,
        training,
        steps,
        config.epochs,
        config.unfinished(backup, graph, source),
        config.learning_rate,
        validation,
        verbose,
        DetectionLoss(coder),
    )
    shutil.rmtree(backup, ignore_errors=True)
    return dataclasses.replace(qat.quantized_graph(names), sample=np.array(images[0][0]))


def _pack(outputs):
    """`micronet_keras.detection.pack` for tensors of tf_keras, which knows no `keras.ops`."""
    rows = [
        tf.concat([tf.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3])) for x in pair], axis=-1)
        for pair in zip(outputs[::2], outputs[1::2], strict=True)
    ]
    return tf.concat(rows, axis=1)


class Int8Detector:
    """A light detector's int8 flatbuffer on TFLM, with decoding in whole numbers.

    Args:
        flatbuffer: bytes of the ``.tflite`` file.
        selection: which detections to keep.

    Attributes:
        interpreter: the `Interpreter`.
        decoder: the `Int8Decoder`, as `write_c_detector` takes it.

    Raises:
        UserError: the file is damaged, TFLM cannot run it, or it is not a light detector.

    Example:

    >>> detector = Int8Detector(Path("model.tflite").read_bytes())
    >>> evaluate_detector(detector, source, "test", image_size=128)["AP50"]
    """

    def __init__(self, flatbuffer: bytes, selection: Selection = Selection()):  # noqa: B008
        self.interpreter = Interpreter(flatbuffer)
        size = tuple(int(side) for side in self.interpreter.input.shape[1:3])
        self.decoder = Int8Decoder(self.interpreter.outputs, size, selection)

    def __call__(self, pixels: np.ndarray) -> list[Detections]:
        """uint8 [batch, height, width, 3] -> the detections in each image, in pixels."""
        return [
            self.decoder(self.interpreter.invoke_all(image[None])).in_pixels()
            for image in self.interpreter.quantize(pixels)
        ]


class Comparison(NamedTuple):
    """What `compare_float_and_int8` returns.

    Attributes:
        summary: `images`; `float_AP`, `float_AP50`, ... and `int8_AP`, `int8_AP50`, ... as of
            `average_precision`; `arena_bytes`, `flash_bytes`.
    """

    summary: dict


def compare_float_and_int8(
    model: keras.Model,
    flatbuffer: bytes,
    source: Source,
    split: str = "test",
    images: int | None = None,
    on_bad_image: str = "skip",
    picture: str | os.PathLike | None = None,
) -> Comparison:
    """Runs both forms of a light detector over the same images.

    Args:
        model: the Keras model; takes what `preprocess_input` returns.
        flatbuffer: its int8 form, run on the real TFLM interpreter, image by image.
        source: a dataset with objects.
        split: the split to look at.
        images: only the first so many; None is all.
        on_bad_image: as in `micronet_keras.data.eval_batches`.
        picture: a PNG for what the int8 form finds in the first images, beside the ground truth.

    Raises:
        UserError: the model, the flatbuffer and the dataset do not fit each other, or the
            flatbuffer cannot be run.

    Example:

    >>> compare_float_and_int8(model, flatbuffer, source).summary["int8_AP50"]
    """
    int8 = Int8Detector(flatbuffer)
    size = int8.interpreter.input.shape[1]
    classes = {
        "the dataset": len(source.object_class_names),
        "the Keras model": class_count(model),
        "the flatbuffer": int8.decoder.classes,
    }
    if len(set(classes.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in classes.items())
        raise UserError(f"the numbers of classes differ: {counts}")
    if tuple(model.input_shape[1:]) != tuple(int8.interpreter.input.shape[1:]):
        raise UserError(
            f"the Keras model takes images of {tuple(model.input_shape[1:])}, the flatbuffer of "
            f"{tuple(int8.interpreter.input.shape[1:])}; they are not the same model"
        )
    if split not in source.splits:
        raise UserError(f"dataset {source.name} has no split {split!r}: {', '.join(source.splits)}")
    summary = {"images": min(images or source.splits[split], source.splits[split])}
    for name, detect in (("float", detector_function(model)), ("int8", int8)):
        figures = evaluate_detector(
            detect, source, split, size, images=images, on_bad_image=on_bad_image
        )
        summary |= {f"{name}_{figure}": value for figure, value in figures.items()}
    if picture:
        plot_examples(picture, int8, source, split, size)
    summary |= {"arena_bytes": int8.interpreter.arena_bytes, "flash_bytes": len(flatbuffer)}
    return Comparison(summary)
