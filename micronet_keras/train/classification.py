"""Training an image classifier on a dataset, from the first step to the summary."""

import dataclasses
import os
from collections.abc import Callable
from typing import NamedTuple

import keras

from micronet_keras import data
from micronet_keras.losses import SmoothedCrossentropy
from micronet_keras.models import preprocess_input
from micronet_keras.train.loop import data_of_any_length, run_training
from micronet_keras.train.plot import plot_history
from micronet_keras.train.recipes import TrainConfig
from micronet_keras.train.run_folder import RunFolder
from micronet_mcu.errors import UserError


class TrainResult(NamedTuple):
    """What `train_classifier` returns.

    Attributes:
        history: one dict per epoch (the rows of `history.csv`).
        summary: the content of `summary.json`; accuracies are shares from 0 to 1.
        trained: False where the run was finished before and nothing was done.
    """

    history: list[dict]
    summary: dict
    trained: bool


def train_classifier(
    model: keras.Model,
    source: data.Source,
    config: TrainConfig,
    out_dir: str | os.PathLike,
    *,
    preprocess: Callable = preprocess_input,
    settings: dict | None = None,
    force: bool = False,
    after_epoch: Callable[[list[dict]], None] | None = None,
) -> TrainResult:
    """Trains a classifier, resumes it, or returns the result of a finished run.

    The same call continues a run that was killed, after its last finished epoch, with the same end
    result (call `make_repeatable(config)` before the model is built). Afterwards `model` holds the
    weights of the best epoch.

    Args:
        model: any Keras model from float images [B, image_size, image_size, 3] to logits
            [B, classes]. Not compiled by the caller.
        source: what `micronet_keras.data.load_dataset` returns.
        config: a recipe, e.g. `RECIPES["quick"]`, or a changed copy.
        out_dir: folder of the run; see `RunFolder` for what is written.
        preprocess: from pixels 0..255, uint8 [B, S, S, 3], to the model's input; `keras.ops` only.
        settings: more that decides the result, recorded in `config.json` and compared when the run
            is resumed, e.g. `{"model": "m0"}`. JSON values.
        force: discard an earlier run in `out_dir`.
        after_epoch: as in `run_training`.

    Returns:
        `TrainResult(history, summary, trained)`.

    Raises:
        UserError: the dataset has no such split or too few examples; the folder holds a run with
            other settings or cannot be written; the loss is not finite any more.
        ValueError: the model does not fit the images or the classes.

    Example:

    >>> config = RECIPES["quick"]
    >>> make_repeatable(config)
    >>> source = load_dataset()
    >>> model = MicroNetM0(input_shape=(96, 96, 3), classes=len(source.class_names))
    >>> train_classifier(model, source, config, "out/m0").summary["test_accuracy"]
    """
    _check_model(model, source, config)
    examples = source.splits
    source = with_validation(source, config)
    train_data, validation_data, steps_per_epoch = _batches(source, config)
    run = RunFolder(out_dir)
    resume = run.open(
        {
            **(settings or {}),
            "dataset": source.name,
            "class_names": list(source.class_names),
            "examples": examples,
            **dataclasses.asdict(config),
        },
        force,
    )
    # The pipeline hands over whole pixels: scaled inside the model, no floats have to be moved.
    pixels = keras.Input((config.image_size, config.image_size, 3), dtype="uint8")
    trainee = keras.Model(pixels, model(preprocess(pixels)))
    history = run_training(
        trainee,
        loss=SmoothedCrossentropy(config.label_smoothing),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        monitor="val_accuracy",
        train_data=train_data,
        steps_per_epoch=steps_per_epoch,
        validation_data=validation_data,
        config=config,
        run=run,
        resume=resume,
        saved_model=model,
        after_epoch=after_epoch,
    )

    run.load_best(model)
    summary = run.read_summary()
    if summary is not None:
        return TrainResult(history, summary, trained=False)
    test = {"accuracy": None, "loss": None}
    if config.test_split:
        test_data = _evaluation(source, config.test_split, config)
        with data_of_any_length():
            test = trainee.evaluate(test_data, return_dict=True, verbose=0)
    summary = _summarize(model, source, config, history, steps_per_epoch, test)
    plot_history(history, run.curve, title=f"{model.name} on {source.name}")
    run.write_summary(summary)
    return TrainResult(history, summary, trained=True)


def with_validation(source: data.Source, config: TrainConfig) -> data.Source:
    """`source` with the three splits of a recipe, see `micronet_keras.data.hold_out_validation`.

    Raises:
        UserError: one of the three splits does not exist and cannot be made.
    """
    if config.test_split and config.test_split not in source.splits:
        raise UserError(
            f"dataset {source.name} has no split {config.test_split!r}; choose --test_split "
            f"among: {', '.join(source.splits)}"
        )
    return data.hold_out_validation(
        source, config.train_split, config.validation_split, config.hold_out
    )


def _batches(source: data.Source, config: TrainConfig):
    steps_per_epoch = source.splits[config.train_split] // config.batch_size
    if not steps_per_epoch:
        raise UserError(
            f"split {config.train_split!r} of {source.name} has fewer than the {config.batch_size} "
            "images of one batch; lower --batch_size"
        )

    def train_data(first_epoch: int):
        return data.train_batches(
            source,
            config.train_split,
            config.image_size,
            config.batch_size,
            config.seed,
            first_epoch,
            config.epochs,
            min_scale=config.min_scale,
            flip=config.flip,
            on_bad_image=config.on_bad_image,
        )

    return train_data, _evaluation(source, config.validation_split, config), steps_per_epoch


def _evaluation(source: data.Source, split: str, config: TrainConfig):
    return data.eval_batches(
        source, split, config.image_size, config.batch_size, on_bad_image=config.on_bad_image
    )


def _summarize(model, source, config, history, steps_per_epoch, test) -> dict:
    best = max(history, key=lambda row: row["val_accuracy"])
    seconds = sum(row["seconds"] for row in history)
    return {
        "model": model.name,
        "dataset": source.name,
        "parameters": model.count_params(),
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "best_val_accuracy": best["val_accuracy"],
        "last_val_accuracy": history[-1]["val_accuracy"],
        "test_accuracy": test["accuracy"],
        "test_loss": test["loss"],
        "seconds": round(seconds, 1),
        "images_per_second": round(len(history) * steps_per_epoch * config.batch_size / seconds, 1),
    }


def _check_model(model: keras.Model, source, config: TrainConfig) -> None:
    shape = (config.image_size, config.image_size, 3)
    fits = len(model.input_shape) == 4 and all(
        have in (None, want) for have, want in zip(model.input_shape[1:], shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"the model must take images of shape {shape}. Received: {model.input_shape[1:]}"
        )
    classes = len(source.class_names)
    if tuple(model.output_shape) != (None, classes):
        raise ValueError(
            f"the model must give logits for the {classes} classes of {source.name}. "
            f"Received: output shape {tuple(model.output_shape)}"
        )
    last = model.layers[-1]
    softmax = getattr(last, "activation", None) is keras.activations.softmax
    if softmax or isinstance(last, keras.layers.Softmax):
        raise ValueError(
            "the model must give logits, not probabilities. Received: a last layer with softmax"
        )
