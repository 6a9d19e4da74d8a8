"""Training a detector on a dataset, from the first step to the summary."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import keras

from micronet_keras import losses, metrics
from micronet_keras.boxes import class_count, coder_of, pack
from micronet_keras.data import Source
from micronet_keras.detection.annotations import check_annotations
from micronet_keras.detection.evaluation import (
    detector_function,
    evaluate_detector,
    plot_examples,
)
from micronet_keras.detection.pipeline import as_targets, eval_batches, train_batches
from micronet_keras.models import preprocess_input
from micronet_keras.settings import documented, setting
from micronet_keras.train.classification import TrainResult, with_validation
from micronet_keras.train.loop import run_training
from micronet_keras.train.plot import plot_history
from micronet_keras.train.recipes import TrainConfig
from micronet_keras.train.run_folder import RunFolder


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig(TrainConfig):
    """Everything that decides the result of training a detector besides the model and the images.

    As `TrainConfig`. What only a classifier has (`label_smoothing`, `dropout`, `min_scale`) is not
    used and must be 0, 0 and 1.

    Raises:
        ValueError: a field is out of its range.
    """

    dropout: float = setting(0.0, "0: a detector has none")
    min_scale: float = setting(1.0, "1: see smallest_window")
    smallest_window: float = setting(
        0.6, "smallest side of the random crop as a share of the image's longer side, above 0"
    )
    largest_window: float = setting(
        1.2, "largest side of the random crop; above 1 the image shrinks in a grey frame"
    )
    mosaic: float = setting(0.0, "share of the training images put together from four, 0 to 1")
    class_loss: str = setting("varifocal", f"one of {', '.join(losses.CLASS_LOSSES)}")
    box_loss: str = setting("giou", f"one of {', '.join(losses.BOX_LOSSES)}")
    box_weight: float = setting(2.0, "factor of the box loss")
    on_bad_annotation: str = setting(
        "skip", "skip boxes that make no sense, after reporting them, or stop with an error"
    )

    def __post_init__(self):
        super().__post_init__()
        checks = {
            "dropout": (self.dropout == 0, "0 for a detector"),
            "label_smoothing": (self.label_smoothing == 0, "0 for a detector"),
            "min_scale": (self.min_scale == 1, "1 for a detector; see smallest_window"),
            "image_size": (self.image_size % 32 == 0, "divisible by 32"),
            "smallest_window": (
                0 < self.smallest_window <= self.largest_window,
                "above 0, up to largest_window",
            ),
            "mosaic": (0 <= self.mosaic <= 1, "0 to 1"),
            "class_loss": (
                self.class_loss in losses.CLASS_LOSSES,
                f"one of {', '.join(losses.CLASS_LOSSES)}",
            ),
            "box_loss": (
                self.box_loss in losses.BOX_LOSSES,
                f"one of {', '.join(losses.BOX_LOSSES)}",
            ),
            "box_weight": (self.box_weight >= 0, "0 or more"),
            "on_bad_annotation": (
                self.on_bad_annotation in ("skip", "error"),
                "one of skip, error",
            ),
        }
        for name, (fits, wanted) in checks.items():
            if not fits:
                raise ValueError(f"{name} must be {wanted}. Received: {getattr(self, name)!r}")


DETECTION_RECIPES: dict[str, DetectionConfig] = {
    # Within a quarter of an hour on two cores: the light head on the bundled micronet_shapes/multi.
    "quick": DetectionConfig(
        image_size=128,
        batch_size=32,
        epochs=10,
        learning_rate=0.15,
        warmup_epochs=1,
        weight_decay=1e-4,
        smallest_window=0.7,
        largest_window=1.1,
    ),
}


def train_detector(
    model: keras.Model,
    source: Source,
    config: DetectionConfig,
    out_dir: str | os.PathLike,
    *,
    preprocess: Callable = preprocess_input,
    settings: dict | None = None,
    force: bool = False,
) -> TrainResult:
    """Trains a detector, resumes it, or returns the result of a finished run.

    As `micronet_keras.train.train_classifier`, with the same files in `out_dir`. Bad annotations
    are printed before the first step. The best epoch is that of the highest `BestMatch` on the
    validation split. Beside the other files `detections.png` shows images of the test split.

    Args:
        model: of `light_detector` or `retinanet`. Not compiled by the caller.
        source: a dataset with `objects/bbox` and `objects/label`.
        config: a recipe, e.g. `DETECTION_RECIPES["quick"]`, or a changed copy.
        out_dir, preprocess, settings, force: see `train_classifier`.

    Returns:
        `TrainResult(history, summary, trained)`; the summary has COCO's AP figures of the test
        split, see `average_precision`.

    Raises:
        UserError: as `train_classifier`; the dataset has no boxes, or bad ones that are refused.
        ValueError: the model does not fit the images or the classes.

    Example:

    >>> config = DETECTION_RECIPES["quick"]
    >>> make_repeatable(config)
    >>> source = load_dataset("micronet_shapes/multi")
    >>> backbone = MicroNetM0(input_shape=(128, 128, 3), include_top=False)
    >>> model = light_detector(backbone, len(source.object_class_names))
    >>> train_detector(model, source, config, "out/detector").summary["AP50"]
    """
    examples = source.splits
    source = with_validation(source, config)
    for split in (config.train_split, config.validation_split, config.test_split):
        if split:
            report = check_annotations(source, split, config.on_bad_annotation)
            if report.problems:
                print(f"split {split!r}: {report.summary()}; they are left out", flush=True)
    coder = _check_model(model, source, config)
    classes = class_count(model)
    run = RunFolder(out_dir)
    resume = run.open(
        {
            **(settings or {}),
            "dataset": source.name,
            "class_names": source.object_class_names,
            "examples": examples,
            **dataclasses.asdict(config),
        },
        force,
    )

    def train_data(first_epoch: int):
        return train_batches(
            source,
            config.train_split,
            config.image_size,
            config.batch_size,
            config.seed,
            first_epoch,
            config.epochs,
            smallest_window=config.smallest_window,
            largest_window=config.largest_window,
            flip=config.flip,
            mosaic=config.mosaic,
            on_bad_image=config.on_bad_image,
        )

    validation_data = eval_batches(
        source,
        config.validation_split,
        config.image_size,
        config.batch_size,
        on_bad_image=config.on_bad_image,
    ).map(as_targets)
    pixels = keras.Input((config.image_size, config.image_size, 3), dtype="uint8")
    trainee = keras.Model(pixels, pack(model(preprocess(pixels)), classes))
    history = run_training(
        trainee,
        loss=losses.DetectionLoss(coder, config.class_loss, config.box_loss, config.box_weight),
        metrics=[metrics.BestMatch(coder)],
        monitor="val_best_match",
        train_data=train_data,
        steps_per_epoch=source.splits[config.train_split] // config.batch_size,
        validation_data=validation_data,
        config=config,
        run=run,
        resume=resume,
        saved_model=model,
    )
    run.load_best(model)
    summary = run.read_summary()
    if summary is not None:
        return TrainResult(history, summary, trained=False)
    precision = {}
    if config.test_split:
        detect = detector_function(model, preprocess=preprocess)
        plot_examples(
            run.folder / "detections.png", detect, source, config.test_split, config.image_size
        )
        precision = evaluate_detector(
            detect, source, config.test_split, config.image_size, on_bad_image=config.on_bad_image
        )
    summary = _summarize(model, source, history) | precision
    title = f"{model.name} on {source.name}"
    plot_history(history, run.curve, title=title, metric="best_match")
    run.write_summary(summary)
    return TrainResult(history, summary, trained=True)


def _check_model(model: keras.Model, source: Source, config: DetectionConfig):
    coder = coder_of(model)
    shape = (config.image_size, config.image_size, 3)
    if tuple(model.input_shape[1:]) != shape:
        raise ValueError(
            f"the model must take images of shape {shape}. Received: {model.input_shape[1:]}"
        )
    if class_count(model) != len(source.object_class_names):
        raise ValueError(
            f"the model must tell apart the {len(source.object_class_names)} classes of "
            f"{source.name}. Received: {class_count(model)} classes"
        )
    return coder


def _summarize(model, source, history) -> dict:
    best = max(history, key=lambda row: row["val_best_match"])
    return {
        "model": model.name,
        "dataset": source.name,
        "parameters": model.count_params(),
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "best_val_best_match": best["val_best_match"],
        "seconds": round(sum(row["seconds"] for row in history), 1),
    }
