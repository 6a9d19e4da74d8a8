"""The settings of a keypoint training: the crop and its augmentation."""

import dataclasses

from micronet_settings.fields import check_fields, documented, one_of, setting
from micronet_settings.training import ON_BAD, TrainConfig


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class KeypointConfig:
    """How a pose estimator is trained; images are crops of one person.

    Raises:
        ValueError: a field is out of its range.
    """

    training: TrainConfig = setting(
        TrainConfig(image_size=256, image_width=192), "what every task has"
    )
    sigma: float = setting(2.0, "of the Gaussians in the heatmaps, in cells, above 0")
    zoom: float = setting(0.3, "crops see up to so much more or less, as a share, 0 to below 1")
    rotation: float = setting(
        40.0, "crops are turned by up to so many degrees either way, 0 to 180"
    )
    rotation_share: float = setting(0.6, "share of the crops that are turned, 0 to 1")
    half_body: float = setting(0.3, "share of the crops around half a body, 0 to 1")
    flip_test: bool = setting(
        False, "measure on the mirrored crop as well and take the mean, as is usual for COCO"
    )
    on_bad_annotation: str = setting(
        "skip", "skip annotations that make no sense, and list them, or stop with an error"
    )

    def __post_init__(self):
        height, width = self.training.size
        if height % 32 or width % 32:
            raise ValueError(
                f"the sides of the crop must be multiples of 32. Received: {height} x {width}"
            )
        check_fields(
            self,
            sigma=(0 < self.sigma < 100, "above 0, below 100"),
            zoom=(0 <= self.zoom < 1, "0 to below 1"),
            rotation=(0 <= self.rotation <= 180, "0 to 180"),
            rotation_share=(0 <= self.rotation_share <= 1, "0 to 1"),
            half_body=(0 <= self.half_body <= 1, "0 to 1"),
            on_bad_annotation=one_of(self.on_bad_annotation, ON_BAD),
        )


RECIPES = {
    # Height, width, batch and length of the paper's comparison on COCO; SGD in the place of Adam.
    "coco": KeypointConfig(
        flip_test=True,
        training=TrainConfig(
            image_size=256,
            image_width=192,
            batch_size=128,
            epochs=210,
            learning_rate=0.05,
            warmup_epochs=2,
            weight_decay=1e-5,
        ),
    ),
    # Minutes: M0 on the stick figures of the bundled dataset, which are small and seldom turned.
    "quick": KeypointConfig(
        sigma=1.5,
        zoom=0.2,
        rotation=20.0,
        half_body=0.1,
        training=TrainConfig(
            image_size=128,
            image_width=96,
            batch_size=32,
            epochs=36,
            learning_rate=0.02,
            warmup_epochs=1,
            weight_decay=1e-5,
        ),
    ),
}
