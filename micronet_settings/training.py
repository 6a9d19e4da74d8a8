"""The settings that every task's training has, and how a task's own settings hold them."""

import dataclasses
import math
from typing import Any, TypeVar

from micronet_mcu.errors import UserError
from micronet_settings.fields import check_fields, documented, one_of, setting

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
ON_BAD = ("skip", "error")
PREPROCESSING = ("imagenet", "none")

Config = TypeVar("Config")


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the result of a training run whatever the task.

    A task's configuration holds one as `training`, beside what only that task has. Nothing is
    derived in secret: the learning rate is the one that is used, whatever the batch size (see
    `with_batch_size` for the linear rule).

    Raises:
        ValueError: a field is out of its range.

    Example:

    >>> TrainConfig(image_size=128, image_width=96).size
    (128, 96)
    """

    image_size: int = setting(
        224,
        "height of the input image in pixels, at least 32 (as a flag also height x width: 96x128)",
        second="image_width",
    )
    image_width: int = setting(0, "its width in pixels; 0 is a square")
    batch_size: int = setting(256, "images per step, over all devices together")
    epochs: int = setting(600, "passes over the training split")
    learning_rate: float = setting(0.1, "peak learning rate, used as it is at any batch size")
    warmup_epochs: int = setting(0, "epochs of linear rise from 0 to the peak before the cosine")
    momentum: float = setting(0.9, "momentum of SGD (not Nesterov), 0 to below 1")
    weight_decay: float = setting(
        3e-5, "L2 coefficient, added to the gradients of all variables, scales and biases included"
    )
    ema: float = setting(
        0.0,
        "decay per step of the running average of the weights, e.g. 0.9999; 0 is off. "
        "Where it is on, the average is what is evaluated and saved",
    )
    flip: bool = setting(True, "mirror half of the training images, left to right")
    preprocessing: str = setting(
        "imagenet",
        "what the model takes: imagenet (of preprocess_input) or none (pixels 0 to 255)",
    )
    on_bad_image: str = setting(
        "skip", "skip images that do not decode and count them, or stop with an error"
    )
    precision: str = setting("float32", f"one of {', '.join(PRECISIONS)}")
    seed: int = setting(0, "of the initial weights, the data order, the augmentation and dropout")
    deterministic: bool = setting(
        True, "use only operations that repeat bit for bit, so that equal seeds give equal weights"
    )
    train_split: str = setting("train", "split to train on")
    validation_split: str = setting("validation", "split that chooses the best epoch")
    hold_out: int = setting(
        10,
        "where the dataset has no such validation split, every so many-th training image is "
        "set aside for it, e.g. 10; 0 is off",
    )
    test_split: str = setting(
        "test", "split that the best epoch is measured on once, at the end; empty is none"
    )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input image in pixels."""
        return self.image_size, self.image_width or self.image_size

    def __post_init__(self):
        check_fields(
            self,
            image_size=(self.image_size >= 32, "at least 32 pixels"),
            image_width=(self.image_width == 0 or self.image_width >= 32, "0, or 32 or more"),
            batch_size=(self.batch_size >= 1, "at least 1"),
            epochs=(self.epochs >= 1, "at least 1"),
            learning_rate=(0 < self.learning_rate < math.inf, "a number above 0"),
            warmup_epochs=(0 <= self.warmup_epochs < self.epochs, "0 to below epochs"),
            momentum=(0 <= self.momentum < 1, "0 to below 1"),
            weight_decay=(0 <= self.weight_decay < math.inf, "0 or more"),
            ema=(0 <= self.ema < 1, "0 to below 1"),
            preprocessing=one_of(self.preprocessing, PREPROCESSING),
            on_bad_image=one_of(self.on_bad_image, ON_BAD),
            precision=one_of(self.precision, PRECISIONS),
            hold_out=(self.hold_out == 0 or self.hold_out >= 2, "0, or 2 or more"),
            seed=(0 <= self.seed < 2**31, "0 to 2147483647"),
        )


def replace(config: Config, **values: Any) -> Config:
    """A changed copy of a task's configuration; fields of `training` are named like its own.

    With fewer `epochs` than its warm-up takes, and no `warmup_epochs` beside them, the warm-up ends
    an epoch before them.

    Raises:
        ValueError: a value is out of its range.
        TypeError: there is no such field.

    Example:

    >>> from micronet_keras.tasks import CLASSIFICATION
    >>> config = replace(CLASSIFICATION.recipes["quick"], epochs=2, dropout=0.1)
    >>> config.training.epochs, config.dropout
    (2, 0.1)
    """
    own = {field.name for field in dataclasses.fields(config)}
    training = {name: value for name, value in values.items() if name not in own}
    changed = {name: value for name, value in values.items() if name in own}
    epochs = training.get("epochs")
    if isinstance(epochs, int) and "warmup_epochs" not in training:
        training["warmup_epochs"] = min(config.training.warmup_epochs, max(epochs - 1, 0))
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, **training), **changed
    )


def flat(config: Any) -> dict[str, Any]:
    """The fields of a task's configuration beside those of its `training`, for `replace`."""
    values = dataclasses.asdict(config)
    return {**values.pop("training"), **values}


def with_batch_size(config: Config, batch_size: int) -> Config:
    """`config` at another batch size, the learning rate scaled in proportion.

    Example:

    >>> from micronet_keras.tasks import CLASSIFICATION
    >>> with_batch_size(CLASSIFICATION.recipes["m0"], 512).training.learning_rate
    0.2
    """
    rate = config.training.learning_rate * batch_size / config.training.batch_size
    return replace(config, batch_size=batch_size, learning_rate=rate)


def from_json(kind: type[Config], values: Any, origin: str) -> Config:
    """The configuration that `dataclasses.asdict` was taken of.

    Raises:
        UserError: `values` is not what this class writes; `origin` is named.
    """
    try:
        return kind(**{**values, "training": TrainConfig(**values["training"])})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{origin} does not hold the settings of such a run: {error}") from error
