"""Keypoints of people, top-down: one person in a crop, one heatmap for each keypoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from micronet_keras.data import Source
from micronet_keras.data.skeleton import Skeleton
from micronet_keras.losses import HeatmapLoss
from micronet_keras.metrics import KeypointAccuracy
from micronet_keras.models import HEATMAP_STRIDE, MicroNetPoseEstimator
from micronet_keras.tasks.keypoints.crop import into_image
from micronet_keras.tasks.keypoints.oks import (
    annotations_of,
    keypoint_similarity,
    oks_average_precision,
    results_of,
)
from micronet_keras.tasks.keypoints.people import People, load_people, require_people
from micronet_keras.tasks.keypoints.pictures import draw_predictions
from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON, skeleton_of
from micronet_keras.tasks.keypoints.targets import as_targets, eval_batches, train_batches
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
from micronet_mcu.decode.keypoints import STEPS, decode, decode_int8
from micronet_mcu.errors import UserError
from micronet_mcu.runner import Int8Runner
from micronet_settings.keypoints import RECIPES, KeypointConfig

_PICTURES = 12


class Keypoints(Task):
    """Heatmaps of a person's keypoints; see `Task`.

    A prediction is float32 [n, 3] for n keypoints: x and y in heatmap cells, height of the peak.
    """

    name = "keypoints"
    config = KeypointConfig
    recipes = RECIPES
    dataset = "micronet_shapes/multi"
    monitor = "accuracy"
    annotations = "keypoints"
    padding = 0

    def class_names(self, source: Source) -> list[str]:
        require_people(source)
        return list(skeleton_of(source).names)

    def build(
        self,
        network: str,
        source: Source,
        config: KeypointConfig,
        weights: str | None = None,
        skip_head: bool = False,
    ) -> keras.Model:
        del skip_head  # A classifier's head is left out in any case.
        backbone = build_backbone(network, (*config.training.size, 3), weights)
        keypoints = len(self.class_names(source))
        return MicroNetPoseEstimator(backbone, head=network, keypoints=keypoints)

    def check(self, runner: Runner, source: Source, config: KeypointConfig) -> None:
        check_image_shape(runner, config)
        height, width = (side // HEATMAP_STRIDE for side in config.training.size)
        wanted, shapes = (height, width, len(self.class_names(source))), interface(runner)[1]
        if shapes != [wanted]:
            raise UserError(
                f"the model must have heatmaps of {wanted}. Received: outputs of shapes {shapes}"
            )

    def examples(self, source: Source, split: str, config: KeypointConfig) -> People:
        return load_people(source, split, config.on_bad_annotation)

    def batches(
        self, examples: Examples, config: KeypointConfig, *, training: bool, first_epoch: int = 0
    ) -> tf.data.Dataset:
        if training:
            return train_batches(examples, config, first_epoch)
        return eval_batches(examples, config).map(as_targets)

    def loss(self, model: keras.Model, config: KeypointConfig) -> keras.losses.Loss:
        del model
        return HeatmapLoss(config.sigma)

    def metrics(self, model: keras.Model) -> list[keras.metrics.Metric]:
        del model
        return [KeypointAccuracy()]

    def predictor(self, runner: Runner, config: KeypointConfig) -> Predict:
        """In int8 heatmaps are decoded as the C code does it, in whole numbers.

        With the flip test it takes `mirrored` of a skeleton, too, which is COCO's when not given.
        """
        heatmaps = float_outputs(runner, config)
        if config.flip_test:
            return partial(_with_mirror, heatmaps)
        if isinstance(runner, Int8Runner):
            return _int8_predictor(runner)
        return lambda crops: decode(heatmaps(crops))

    def measure(
        self,
        predict: Predict,
        examples: Examples,
        config: KeypointConfig,
        limit: int | None = None,
    ) -> Measured:
        """AP over OKS, mean OKS, and the mean distance from the truth in heatmap cells."""
        skeleton = skeleton_of(examples.source)
        if config.flip_test:
            predict = partial(predict, mirrored=skeleton.mirrored)
        total = min(limit or len(examples), len(examples))
        columns: dict[str, list] = {}
        crops: list[np.ndarray] = []
        batches = (
            (batch["image"], batch)
            for batch in eval_batches(examples, config, limit).as_numpy_iterator()
        )
        for images, batch in progress(batches, examples.split, total):
            crops += list(images[: _PICTURES - len(crops)])
            batch["cells"] = predict(images)
            for name in ("cells", "target", "matrix", "keypoints", "box", "area"):
                columns.setdefault(name, []).append(batch[name])
        if not columns:
            raise UserError(f"no image decodes: {examples.summary()}")
        data = {name: np.concatenate(values) for name, values in columns.items()}
        return Measured(
            figures=_figures(data, skeleton),
            count=len(data["cells"]),
            draw=partial(
                draw_predictions,
                crops=np.stack(crops),
                truth=data["target"],
                found=data["cells"],
                skeleton=skeleton,
            ),
        )


def _int8_predictor(runner: Int8Runner) -> Predict:
    scale, zero_point = runner.output.scale[0], int(runner.output.zero_point[0])
    steps = np.array([1 / STEPS, 1 / STEPS, scale], np.float32)

    def predict(crops):
        raw = np.concatenate([runner.invoke(crop[None]) for crop in runner.quantize(crops)])
        return (decode_int8(raw, zero_point) * steps).astype(np.float32)

    return predict


def _with_mirror(
    heatmaps: Callable, crops: np.ndarray, mirrored: Sequence[int] = COCO_PERSON.mirrored
) -> np.ndarray:
    """The keypoints of the mean of the heatmaps of crops and mirrored crops, left for right."""
    others = heatmaps(np.ascontiguousarray(crops[:, :, ::-1]))[:, :, ::-1]
    return decode((heatmaps(crops) + others[..., list(mirrored)]) / 2)


def _figures(data: dict[str, np.ndarray], skeleton: Skeleton) -> dict[str, float | None]:
    points = into_image(data["cells"][..., :2] * HEATMAP_STRIDE, data["matrix"])
    predicted = np.concatenate([points, data["cells"][..., 2:]], axis=-1)
    truth = annotations_of(data["keypoints"], data["box"], data["area"])
    results = results_of(predicted, [image["id"] for image in truth["images"]])
    figures = oks_average_precision(truth, results, skeleton.sigmas)
    similarity = keypoint_similarity(predicted, data["keypoints"], data["area"], skeleton.sigmas)
    away = data["cells"][..., :2] - data["target"][..., :2]
    error = np.average(np.hypot(away[..., 0], away[..., 1]), weights=data["target"][..., 2])
    return {
        **{name: figures[name] for name in ("AP", "AP50", "AP75")},
        "OKS": float(similarity.mean()),
        "error_cells": float(error),
    }
