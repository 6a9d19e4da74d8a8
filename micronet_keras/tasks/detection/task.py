"""Object detection: boxes with classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from micronet_keras import losses
from micronet_keras.boxes import decode
from micronet_keras.data import Source
from micronet_keras.data.counts import counts_line
from micronet_keras.metrics import BestMatch
from micronet_keras.models import MicroNetObjectDetector
from micronet_keras.tasks.detection.annotations import check_annotations, require_objects
from micronet_keras.tasks.detection.ap import GroundTruth, average_precision
from micronet_keras.tasks.detection.pictures import plot_detections
from micronet_keras.tasks.detection.targets import as_targets, eval_batches, train_batches
from micronet_keras.tasks.networks import build_backbone
from micronet_keras.tasks.task import (
    Examples,
    Measured,
    Predict,
    Runner,
    Task,
    check_image_shape,
    float_outputs,
    interface,
    progress,
)
from micronet_mcu.decode.detection import Detections, Int8Decoder, Selection
from micronet_mcu.decode.detector_header import detector_header
from micronet_mcu.errors import UserError
from micronet_mcu.runner import Int8Runner
from micronet_mcu.tflite.model import Model
from micronet_settings.detection import RECIPES, DetectionConfig

_PICTURES = 12


@dataclasses.dataclass(frozen=True)
class Scenes(Examples):
    """The pictures of a split.

    Attributes:
        most_objects: of one of them.
    """

    most_objects: int = dataclasses.field(kw_only=True)


class Detection(Task):
    """Boxes with classes; see `Task`. A prediction is the `Detections` in an image."""

    name = "detection"
    config = DetectionConfig
    recipes = RECIPES
    dataset = "micronet_shapes/multi"
    monitor = "best_match"
    annotations = "boxes"

    def class_names(self, source: Source) -> list[str]:
        require_objects(source)
        return source.object_class_names

    def build(
        self,
        network: str,
        source: Source,
        config: DetectionConfig,
        weights: str | None = None,
        skip_head: bool = False,
    ) -> keras.Model:
        del skip_head  # A classifier's head is left out in any case.
        backbone = build_backbone(network, (*config.training.size, 3), weights)
        classes = len(self.class_names(source))
        return MicroNetObjectDetector(backbone, classes, head=config.head)

    def check(self, runner: Runner, source: Source, config: DetectionConfig) -> None:
        check_image_shape(runner, config)
        shapes, classes = interface(runner)[1], len(self.class_names(source))
        pairs = list(zip(shapes[::2], shapes[1::2], strict=False))
        fits = pairs and len(shapes) % 2 == 0 and all(len(shape) == 3 for shape in shapes)
        if not fits or any(a[-1] * 4 != classes * b[-1] for a, b in pairs):
            raise UserError(
                f"the model must have scores for the {classes} classes of {source.name} and boxes "
                f"for each level. Received: outputs of shapes {shapes}"
            )

    def examples(self, source: Source, split: str, config: DetectionConfig) -> Scenes:
        report = check_annotations(source, split, config.on_bad_annotation)
        counted = counts_line(report.counts, "objects")
        count = super().examples(source, split, config).count
        return Scenes(source, split, count, report.summary(), counted, most_objects=report.most)

    def batches(
        self,
        examples: Examples,
        config: DetectionConfig,
        *,
        training: bool,
        first_epoch: int = 0,
    ) -> tf.data.Dataset:
        # JAX compiles a step anew for every shape.
        most = examples.most_objects if keras.backend.backend() == "jax" else None
        if not training:
            return self._whole(examples, config, most).map(as_targets)
        settings = config.training
        return train_batches(
            examples.source,
            examples.split,
            settings.size,
            settings.batch_size,
            settings.seed,
            first_epoch,
            settings.epochs,
            smallest_window=config.smallest_window,
            largest_window=config.largest_window,
            flip=settings.flip,
            mosaic=config.mosaic,
            on_bad_image=settings.on_bad_image,
            most_objects=most,
        )

    def loss(self, model: keras.Model, config: DetectionConfig) -> keras.losses.Loss:
        return losses.DetectionLoss(
            model.coder, config.class_loss, config.box_loss, config.box_weight
        )

    def metrics(self, model: keras.Model) -> list[keras.metrics.Metric]:
        return [BestMatch(model.coder)]

    def predictor(self, runner: Runner, config: DetectionConfig) -> Predict:
        selection, size = Selection(), config.training.size
        if isinstance(runner, Int8Runner):
            decoder = Int8Decoder(runner.outputs, size, selection)
            return lambda pixels: [
                decoder(runner.invoke_all(image[None])).in_pixels()
                for image in runner.quantize(pixels)
            ]
        packed = float_outputs(runner, config)
        return lambda pixels: decode(packed(pixels), runner.coder, selection, size)

    def measure(
        self,
        predict: Predict,
        examples: Examples,
        config: DetectionConfig,
        limit: int | None = None,
    ) -> Measured:
        """COCO's average precision, in pixels of the original images."""
        names = self.class_names(examples.source)
        total = min(limit or len(examples), len(examples))
        truth: list[GroundTruth] = []
        found: list[Detections] = []
        shown: list[Any] = []
        batches = self._whole(examples, config).unbatch().take(limit or -1)
        batches = batches.padded_batch(32, padding_values=(tf.constant(0, tf.uint8), -1.0))
        for pixels, objects in progress(batches.as_numpy_iterator(), examples.split, total):
            for image, rows, seen in zip(pixels, objects, predict(pixels), strict=True):
                if len(shown) < _PICTURES:
                    shown.append((image, _ground_truth(rows, 1.0), seen))
                scale = rows[0, 6]
                found.append(Detections(seen.boxes * scale, seen.scores, seen.labels))
                truth.append(_ground_truth(rows, scale))
        if not truth:
            raise UserError(f"no image decodes: {examples.summary()}")
        images, objects, seen = map(list, zip(*shown, strict=True))
        return Measured(
            figures=average_precision(truth, found, len(names)),
            count=len(truth),
            draw=partial(
                plot_detections, images=np.stack(images), truth=objects, found=seen,
                class_names=names,
            ),
        )  # fmt: skip

    def c_files(self, model: Model, class_names: Sequence[str], name: str) -> dict[str, str]:
        """The constants for `tflm/detection`."""
        outputs = [model.tensors[index] for index in model.outputs]
        decoder = Int8Decoder(outputs, model.tensors[model.inputs[0]].shape[1:3])
        return {f"{name}_detector.h": detector_header(decoder, class_names, name)}

    def _whole(
        self, examples: Examples, config: DetectionConfig, most_objects: int | None = None
    ) -> tf.data.Dataset:
        return eval_batches(
            examples.source,
            examples.split,
            config.training.size,
            config.training.batch_size,
            on_bad_image=config.training.on_bad_image,
            most_objects=most_objects,
        )


def _ground_truth(rows: np.ndarray, scale: float) -> GroundTruth:
    """One image's rows of `eval_batches`, in pixels times `scale`."""
    kept = rows[rows[:, 4] >= 0]
    return GroundTruth(kept[:, :4] * scale, kept[:, 4].astype(np.int32), kept[:, 5] > 0)
