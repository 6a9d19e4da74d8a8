"""What a training run is made of, as one frozen record, and the published recipes as presets."""

import dataclasses
import math

from micronet_keras.settings import documented, setting

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
ON_BAD_IMAGE = ("skip", "error")


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the result of a training run besides the model and the images.

    Nothing is derived in secret: the learning rate is the one that is used, whatever the batch size
    (see `with_batch_size` for the linear rule). `dataclasses.replace` makes a changed copy.

    Raises:
        ValueError: a field is out of its range.

    Example:

    >>> import dataclasses
    >>> config = dataclasses.replace(RECIPES["m0"], epochs=300, batch_size=128, learning_rate=0.05)
    """

    image_size: int = setting(224, "side of the square input image in pixels, at least 32")
    batch_size: int = setting(256, "images per step, over all devices together")
    epochs: int = setting(600, "passes over the training split")
    learning_rate: float = setting(0.1, "peak learning rate, used as it is at any batch size")
    warmup_epochs: int = setting(0, "epochs of linear rise from 0 to the peak before the cosine")
    momentum: float = setting(0.9, "momentum of SGD (not Nesterov), 0 to below 1")
    weight_decay: float = setting(
        3e-5, "L2 coefficient, added to the gradients of all variables, scales and biases included"
    )
    label_smoothing: float = setting(
        0.0, "share of the target spread evenly over all classes, 0 to below 1"
    )
    dropout: float = setting(0.05, "dropout rate before the last layer, 0 to below 1")
    ema: float = setting(
        0.0,
        "decay per step of the running average of the weights, e.g. 0.9999; 0 is off. "
        "Where it is on, the average is what is evaluated and saved",
    )
    min_scale: float = setting(
        0.08, "smallest area of the random resized crop as a share of the image, above 0, up to 1"
    )
    flip: bool = setting(True, "mirror half of the training images, left to right")
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

    def __post_init__(self):
        checks = {
            "image_size": (self.image_size >= 32, "at least 32 pixels"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "epochs": (self.epochs >= 1, "at least 1"),
            "learning_rate": (0 < self.learning_rate < math.inf, "a number above 0"),
            "warmup_epochs": (0 <= self.warmup_epochs < self.epochs, "0 to below epochs"),
            "momentum": (0 <= self.momentum < 1, "0 to below 1"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "0 or more"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "0 to below 1"),
            "dropout": (0 <= self.dropout < 1, "0 to below 1"),
            "ema": (0 <= self.ema < 1, "0 to below 1"),
            "min_scale": (0 < self.min_scale <= 1, "above 0, up to 1"),
            "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            "on_bad_image": (
                self.on_bad_image in ON_BAD_IMAGE,
                f"one of {', '.join(ON_BAD_IMAGE)}",
            ),
            "hold_out": (self.hold_out == 0 or self.hold_out >= 2, "0, or 2 or more"),
            "seed": (0 <= self.seed < 2**31, "0 to 2147483647"),
        }
        for name, (fits, wanted) in checks.items():
            if not fits:
                raise ValueError(f"{name} must be {wanted}. Received: {getattr(self, name)!r}")


def with_batch_size(config: TrainConfig, batch_size: int) -> TrainConfig:
    """`config` at another batch size, the learning rate scaled in proportion.

    Example:

    >>> with_batch_size(RECIPES["m0"], 512).learning_rate
    0.2
    """
    rate = config.learning_rate * batch_size / config.batch_size
    return dataclasses.replace(config, batch_size=batch_size, learning_rate=rate)


# M0-M3: the authors' training scripts (github liyunsheng13/micronet, scripts/train_micronet_m*.sh),
# which the published ImageNet checkpoints come from; the crop scale is torchvision's default.
# M0-M2 in the form for two GPUs; the one for four has batch_size 512 and learning_rate 0.2.
RECIPES: dict[str, TrainConfig] = {
    "m0": TrainConfig(dropout=0.05),
    "m1": TrainConfig(dropout=0.05),
    "m2": TrainConfig(dropout=0.1),
    "m3": TrainConfig(
        dropout=0.1, batch_size=512, learning_rate=0.2, weight_decay=4e-5, warmup_epochs=5
    ),
    # Minutes instead of days: M0 on the bundled dataset, on a laptop's processor.
    "quick": TrainConfig(
        image_size=96,
        batch_size=32,
        epochs=6,
        learning_rate=0.3,
        warmup_epochs=1,
        weight_decay=3e-5,
        dropout=0.0,
        min_scale=0.7,
    ),
}
