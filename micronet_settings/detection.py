"""The settings of a detector's training, and its presets."""

import dataclasses

from micronet_settings.fields import check_fields, documented, one_of, setting
from micronet_settings.training import ON_BAD, TrainConfig

HEADS = ("light", "retinanet")
CLASS_LOSSES = ("varifocal", "focal")
BOX_LOSSES = ("giou", "ciou")


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig:
    """How a detector is trained.

    Raises:
        ValueError: a field is out of its range.
    """

    training: TrainConfig = setting(TrainConfig(), "what every task has")
    head: str = setting(
        "light", "light, for microcontrollers, or retinanet, for comparing backbones"
    )
    smallest_window: float = setting(
        0.6, "smallest side of the random crop as a share of the image's longer side, above 0"
    )
    largest_window: float = setting(
        1.2, "largest side of the random crop; above 1 the image shrinks in a grey frame"
    )
    mosaic: float = setting(0.0, "share of the training images put together from four, 0 to 1")
    class_loss: str = setting("varifocal", f"one of {', '.join(CLASS_LOSSES)}")
    box_loss: str = setting("giou", f"one of {', '.join(BOX_LOSSES)}")
    box_weight: float = setting(2.0, "factor of the box loss")
    on_bad_annotation: str = setting(
        "skip", "skip annotations that make no sense, and list them, or stop with an error"
    )

    def __post_init__(self):
        height, width = self.training.size
        if height % 32 or width % 32:
            raise ValueError(
                "the sides of a detector's images are multiples of 32. "
                f"Received: {height} x {width}"
            )
        check_fields(
            self,
            head=one_of(self.head, HEADS),
            smallest_window=(
                0 < self.smallest_window <= self.largest_window,
                "above 0, up to largest_window",
            ),
            mosaic=(0 <= self.mosaic <= 1, "0 to 1"),
            class_loss=one_of(self.class_loss, CLASS_LOSSES),
            box_loss=one_of(self.box_loss, BOX_LOSSES),
            box_weight=(self.box_weight >= 0, "0 or more"),
            on_bad_annotation=one_of(self.on_bad_annotation, ON_BAD),
        )


RECIPES = {
    # Within a quarter of an hour on two cores: the light head on the bundled micronet_shapes/multi.
    "quick": DetectionConfig(
        smallest_window=0.7,
        largest_window=1.1,
        training=TrainConfig(
            image_size=128,
            batch_size=32,
            epochs=10,
            learning_rate=0.15,
            warmup_epochs=1,
            weight_decay=1e-4,
        ),
    ),
}
