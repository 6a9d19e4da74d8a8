"""The settings of a classifier's training, and its presets."""

import dataclasses

from micronet_settings.fields import check_fields, documented, one_of, setting
from micronet_settings.training import TrainConfig

CLASS_WEIGHTS = ("none", "balanced")


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationConfig:
    """How a classifier is trained.

    Raises:
        ValueError: a field is out of its range.
    """

    training: TrainConfig = setting(TrainConfig(), "what every task has")
    label_smoothing: float = setting(
        0.0, "share of the target spread evenly over all classes, 0 to below 1"
    )
    dropout: float = setting(0.05, "dropout rate before the last layer, 0 to below 1")
    min_scale: float = setting(
        0.08, "smallest area of the random resized crop as a share of the image, above 0, up to 1"
    )

    class_weights: str = setting(
        "none",
        "none, or balanced: in the loss all classes weigh the same, however many images they have",
    )

    def __post_init__(self):
        check_fields(
            self,
            class_weights=one_of(self.class_weights, CLASS_WEIGHTS),
            label_smoothing=(0 <= self.label_smoothing < 1, "0 to below 1"),
            dropout=(0 <= self.dropout < 1, "0 to below 1"),
            min_scale=(0 < self.min_scale <= 1, "above 0, up to 1"),
        )


# M0-M3: the authors' training scripts (github liyunsheng13/micronet, scripts/train_micronet_m*.sh),
# which the published ImageNet checkpoints come from; the crop scale is torchvision's default.
# M0-M2 in the form for two GPUs; the one for four has batch_size 512 and learning_rate 0.2.
RECIPES = {
    "m0": ClassificationConfig(dropout=0.05),
    "m1": ClassificationConfig(dropout=0.05),
    "m2": ClassificationConfig(dropout=0.1),
    "m3": ClassificationConfig(
        dropout=0.1,
        training=TrainConfig(batch_size=512, learning_rate=0.2, weight_decay=4e-5, warmup_epochs=5),
    ),
    # Minutes instead of days: M0 on the bundled dataset, on a laptop's processor.
    "quick": ClassificationConfig(
        dropout=0.0,
        min_scale=0.7,
        training=TrainConfig(
            image_size=96,
            batch_size=32,
            epochs=6,
            learning_rate=0.3,
            warmup_epochs=1,
            weight_decay=3e-5,
        ),
    ),
}
