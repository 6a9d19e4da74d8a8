"""Training a heatmap model on people, from the first step to the summary."""

import dataclasses
import os
from collections.abc import Callable

import keras

from micronet_keras.data import Source
from micronet_keras.keypoints.config import KeypointConfig
from micronet_keras.keypoints.draw import draw_predictions
from micronet_keras.keypoints.evaluate import float_predictor, predict_people
from micronet_keras.keypoints.model import HEATMAP_STRIDE
from micronet_keras.keypoints.people import load_people
from micronet_keras.keypoints.pipeline import train_batches, validation_batches
from micronet_keras.keypoints.skeleton import KEYPOINT_COUNT
from micronet_keras.losses import HeatmapLoss
from micronet_keras.metrics import KeypointAccuracy
from micronet_keras.models import count_madds, preprocess_input
from micronet_keras.train.classification import TrainResult, with_validation
from micronet_keras.train.loop import run_training
from micronet_keras.train.plot import plot_history
from micronet_keras.train.run_folder import RunFolder
from micronet_mcu.errors import UserError


def train_keypoints(
    model: keras.Model,
    source: Source,
    config: KeypointConfig,
    out_dir: str | os.PathLike,
    *,
    preprocess: Callable = preprocess_input,
    settings: dict | None = None,
    force: bool = False,
) -> TrainResult:
    """Trains a heatmap model, resumes it, or returns the result of a finished run.

    The counterpart of `micronet_keras.train.train_classifier`, with the same folder and the same
    exact resume. Beside its files, `predictions.png` shows people of the test split.

    Args:
        model: from `KeypointModel`, for crops of `config.size`. Not compiled by the caller.
        source: what `micronet_keras.data.load_dataset` returns for a dataset with keypoints.
        config: a recipe, e.g. `KEYPOINT_RECIPES["quick"]`, or a changed copy.
        out_dir: folder of the run; see `RunFolder` for what is written.
        preprocess: from pixels 0..255, uint8, to the model's input; `keras.ops` only.
        settings: more that decides the result, compared when the run is resumed. JSON values.
        force: discard an earlier run in `out_dir`.

    Returns:
        `TrainResult(history, summary, trained)`; the summary has the test split's OKS AP.

    Raises:
        UserError: no keypoints or no such split in the dataset, too few people, records that are
            refused; the folder holds a run with other settings or cannot be written; the loss is
            not finite any more.
        ValueError: the model does not fit the crops.

    Example:

    >>> config = KEYPOINT_RECIPES["quick"]
    >>> make_repeatable(config)
    >>> backbone = MicroNetM0(input_shape=(*config.size, 3), include_top=False)
    >>> model = KeypointModel(backbone, HEADS["m0"])
    >>> source = load_dataset("micronet_shapes/multi")
    >>> train_keypoints(model, source, config, "out/pose").summary["test_ap"]
    """
    height, width = config.size
    wanted = (height // HEATMAP_STRIDE, width // HEATMAP_STRIDE, KEYPOINT_COUNT)
    if model.input_shape[1:] != (height, width, 3) or model.output_shape[1:] != wanted:
        raise ValueError(
            f"the model must map crops {(height, width, 3)} to heatmaps {wanted}. "
            f"Received: {model.input_shape[1:]} to {model.output_shape[1:]}"
        )
    source = with_validation(source, config)
    people = {
        split: load_people(split, on_bad_record=config.on_bad_record, source=source)
        for split in dict.fromkeys([config.train_split, config.validation_split, config.test_split])
        if split
    }
    for part in people.values():
        print(part.summary(), flush=True)
    training = people[config.train_split]
    if len(training) < config.batch_size:
        raise UserError(f"{training.summary()}: fewer than a batch of {config.batch_size}")
    run = RunFolder(out_dir)
    resume = run.open(
        {
            **(settings or {}),
            "dataset": source.name,
            "people": {split: len(part) for split, part in people.items()},
            **dataclasses.asdict(config),
        },
        force,
    )
    pixels = keras.Input((height, width, 3), dtype="uint8")
    trainee = keras.Model(pixels, model(preprocess(pixels)))
    history = run_training(
        trainee,
        loss=HeatmapLoss(config.sigma),
        metrics=[KeypointAccuracy()],
        monitor="val_accuracy",
        train_data=lambda first_epoch: train_batches(training, config, first_epoch),
        steps_per_epoch=len(training) // config.batch_size,
        validation_data=validation_batches(people[config.validation_split], config),
        config=config,
        run=run,
        resume=resume,
        saved_model=model,
    )
    run.load_best(model)
    summary = run.read_summary()
    if summary is not None:
        return TrainResult(history, summary, trained=False)
    summary = _summary(model, source, config, history)
    if config.test_split:
        predictions = predict_people(
            float_predictor(model, config.flip_test), people[config.test_split], config
        )
        summary |= {f"test_{name}": value for name, value in predictions.summary().items()}
        title = f"{model.name} on {source.name}, {config.test_split}: AP {summary['test_ap']:.3f}"
        draw_predictions(predictions, run.folder / "predictions.png", title=title)
    plot_history(history, run.curve, title=f"{model.name} on {source.name}")
    run.write_summary(summary)
    return TrainResult(history, summary, trained=True)


def _summary(model, source, config, history) -> dict:
    best = max(history, key=lambda row: row["val_accuracy"])
    return {
        "model": model.name,
        "dataset": source.name,
        "parameters": model.count_params(),
        "madds": count_madds(model).total,
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "best_val_accuracy": best["val_accuracy"],
        "flip_test": config.flip_test,
        "seconds": round(sum(row["seconds"] for row in history), 1),
    }
