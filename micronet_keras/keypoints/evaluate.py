"""Predictions for people of a dataset, in float and on TensorFlow Lite Micro, and their figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from tqdm import tqdm

from micronet_keras.data import Source
from micronet_keras.keypoints.config import KeypointConfig
from micronet_keras.keypoints.crop import into_image
from micronet_keras.keypoints.metric import (
    annotations_of,
    keypoint_similarity,
    oks_average_precision,
    results_of,
)
from micronet_keras.keypoints.model import HEATMAP_STRIDE
from micronet_keras.keypoints.people import People, load_people
from micronet_keras.keypoints.pipeline import eval_batches
from micronet_keras.keypoints.skeleton import KEYPOINT_COUNT, MIRRORED
from micronet_keras.models import preprocess_input
from micronet_mcu.decode.keypoints import STEPS, decode, decode_int8
from micronet_mcu.errors import UserError
from micronet_mcu.to_tflm.interpreter import Interpreter

# uint8 crops [n, height, width, 3] -> float [n, keypoints, 3]: x, y in heatmap cells, score.
Predict = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """People, and what a model says about them.

    Attributes:
        crops: uint8 [n, height, width, 3]; only of the first people, for pictures.
        cells: float32 [n, 17, 3], the prediction: x and y in heatmap cells, score.
        targets: float32 [n, 17, 3], the truth: x and y in heatmap cells, weight.
        predicted: float32 [n, 17, 3], the prediction in pixels of the image, score.
        keypoints, boxes, areas, records: of the people, as in `eval_batches`.
    """

    crops: np.ndarray
    cells: np.ndarray
    targets: np.ndarray
    predicted: np.ndarray
    keypoints: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    records: list[str]

    def summary(self) -> dict:
        """`people`, `ap`, `ap50`, `ap75` (OKS), `oks` (its mean), `error_cells`: mean distance of
        the labelled keypoints from the truth in heatmap cells."""
        truth = annotations_of(self.keypoints, self.boxes, self.areas)
        image_ids = [image["id"] for image in truth["images"]]
        figures = oks_average_precision(truth, results_of(self.predicted, image_ids))
        similarity = keypoint_similarity(self.predicted, self.keypoints, self.areas)
        return {
            "people": len(self.cells),
            **{name: figures[name] for name in ("ap", "ap50", "ap75")},
            "oks": float(similarity.mean()),
            "error_cells": self.error_cells(),
        }

    def error_cells(self) -> float:
        distance = np.hypot(*np.moveaxis(self.cells[..., :2] - self.targets[..., :2], -1, 0))
        return float(np.average(distance, weights=self.targets[..., 2]))


def predict_people(
    predict: Predict,
    people: People,
    config: KeypointConfig,
    limit: int | None = None,
    pictures: int = 24,
    label: str = "",
) -> Predictions:
    """Runs a model over the people of a split, each cropped around its annotated box.

    Args:
        predict: from `float_predictor` or `tflm_predictor`.
        people: the split.
        config: size of the crops.
        limit: only the first so many; None is all.
        pictures: so many crops are kept.
        label: of the progress bar.

    Example:

    >>> predict_people(float_predictor(model), load_people("test"), config).summary()["ap"]
    """
    total = min(limit or len(people), len(people))
    columns: dict[str, list] = {}
    with tqdm(total=total, desc=label, unit="person", leave=False, delay=2) as progress:
        for batch in eval_batches(people, config, limit).as_numpy_iterator():
            batch["cells"] = predict(batch["image"])
            kept = sum(map(len, columns.get("image", [])))
            progress.update(len(batch["image"]))
            batch["image"] = batch["image"][: max(pictures - kept, 0)]
            for name, values in batch.items():
                columns.setdefault(name, []).append(values)
    if not columns:
        raise UserError(f"no image of {people.summary()} decodes")
    data = {name: np.concatenate(values) for name, values in columns.items()}
    points = into_image(data["cells"][..., :2] * HEATMAP_STRIDE, data["matrix"])
    return Predictions(
        crops=data["image"],
        cells=data["cells"],
        targets=data["target"],
        predicted=np.concatenate([points, data["cells"][..., 2:]], axis=-1),
        keypoints=data["keypoints"],
        boxes=data["box"],
        areas=data["area"],
        records=[record.decode(errors="replace") for record in data["record"]],
    )


class Comparison(NamedTuple):
    """What `compare_keypoints` returns.

    Attributes:
        float_predictions, int8_predictions: of the same people.
        summary: `people`; `float_ap`, `int8_ap`, `float_error_cells`, `int8_error_cells` (mean
            distance from the truth in heatmap cells); `arena_bytes`, `flash_bytes`.
    """

    float_predictions: Predictions
    int8_predictions: Predictions
    summary: dict


def compare_keypoints(
    model: keras.Model,
    flatbuffer: bytes,
    source: Source,
    split: str = "test",
    limit: int | None = None,
    on_bad_image: str = "skip",
    flip_test: bool = False,
) -> Comparison:
    """Runs both forms of a heatmap model over the same people.

    Args:
        model: the Keras model; takes what `preprocess_input` returns.
        flatbuffer: its int8 form, run on the real TFLM interpreter, crop by crop.
        source: a dataset with keypoints.
        split: the split to look at.
        limit: only the first so many people; None is all.
        on_bad_image: "skip" or "error".
        flip_test: evaluate on the mirrored crop as well and take the mean, in both forms.

    Raises:
        UserError: the dataset has no people, the model and the flatbuffer do not fit each other,
            or it cannot be run.

    Example:

    >>> source = load_dataset("micronet_shapes/multi")
    >>> compare_keypoints(model, flatbuffer, source).summary["int8_ap"]
    """
    interpreter = Interpreter(flatbuffer)
    ours = (tuple(model.input_shape[1:]), tuple(model.output_shape[1:]))
    theirs = (tuple(interpreter.input.shape[1:]), tuple(interpreter.output.shape[1:]))
    if ours != theirs or len(ours[1]) != 3 or ours[1][-1] != KEYPOINT_COUNT:
        raise UserError(
            f"both must be one model with {KEYPOINT_COUNT} heatmaps: the Keras model makes "
            f"{ours[1]} of {ours[0]}, the flatbuffer {theirs[1]} of {theirs[0]}"
        )
    people = load_people(split, source=source)
    height, width = model.input_shape[1:3]
    config = KeypointConfig(image_size=height, image_width=width, on_bad_image=on_bad_image)
    both = {
        "float": float_predictor(model, flip_test),
        "int8": tflm_predictor(interpreter, flip_test),
    }
    found = {
        name: predict_people(predict, people, config, limit, label=name)
        for name, predict in both.items()
    }
    summary = {"people": len(found["int8"].cells)}
    for figure in ("ap", "error_cells"):
        summary |= {f"{name}_{figure}": found[name].summary()[figure] for name in both}
    summary |= {"arena_bytes": interpreter.arena_bytes, "flash_bytes": len(flatbuffer)}
    return Comparison(found["float"], found["int8"], summary)


def float_predictor(model: keras.Model, flip_test: bool = False) -> Predict:
    """A Keras heatmap model as a predictor; takes pixels, decodes with `decode`."""
    return _predictor(
        lambda crops: keras.ops.convert_to_numpy(model(preprocess_input(crops), training=False)),
        flip_test,
    )


def tflm_predictor(interpreter: Interpreter, flip_test: bool = False) -> Predict:
    """An int8 heatmap model on TFLM; decodes as the C code does, in whole numbers.

    With `flip_test` two heatmaps are averaged, which takes `decode` in float.
    """
    if flip_test:
        return _predictor(interpreter.predict, flip_test)
    scale, zero_point = interpreter.output.scale[0], int(interpreter.output.zero_point[0])

    def predict(crops):
        images = (crops.astype(np.int16) - 128).astype(np.int8)
        raw = np.concatenate([interpreter.invoke(image[None]) for image in images])
        steps = np.array([1 / STEPS, 1 / STEPS, scale], np.float32)
        return (decode_int8(raw, zero_point) * steps).astype(np.float32)

    return predict


def _predictor(heatmaps: Callable[[np.ndarray], np.ndarray], flip_test: bool) -> Predict:
    def predict(crops):
        maps = heatmaps(crops)
        if flip_test:
            # A mirrored person's left is the right.
            mirrored = heatmaps(np.ascontiguousarray(crops[:, :, ::-1]))[:, :, ::-1][..., MIRRORED]
            maps = (maps + mirrored) / 2
        return decode(maps)

    return predict
