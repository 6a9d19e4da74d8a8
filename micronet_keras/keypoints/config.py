"""The settings of a keypoint training: those of every training, the crop and its augmentation."""

import dataclasses

from micronet_keras.keypoints.people import ON_BAD_RECORD
from micronet_keras.settings import documented, setting
from micronet_keras.train.recipes import TrainConfig


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class KeypointConfig(TrainConfig):
    """Everything that decides the result of training on keypoints besides model and images.

    As `TrainConfig`; `image_size` is the height of a person's crop. What only a classifier has
    (`label_smoothing`, `dropout`, `min_scale`) is not used and must be 0, 0 and 1.

    Raises:
        ValueError: a field is out of its range.
    """

    dropout: float = setting(0.0, "0: a heatmap model has none")
    min_scale: float = setting(1.0, "1: see zoom")
    image_size: int = setting(256, "height of the crop in pixels, a multiple of 32")
    image_width: int = setting(192, "width of the crop in pixels, a multiple of 32")
    sigma: float = setting(2.0, "of the Gaussians in the heatmaps, in cells, above 0")
    zoom: float = setting(0.3, "crops see up to so much more or less, as a share, 0 to below 1")
    rotation: float = setting(
        40.0, "crops are turned by up to so many degrees either way, 0 to 180"
    )
    rotation_share: float = setting(0.6, "share of the crops that are turned, 0 to 1")
    half_body: float = setting(0.3, "share of the crops around half a body, 0 to 1")
    flip_test: bool = setting(True, "evaluate on the mirrored crop as well and take the mean")
    on_bad_record: str = setting(
        "skip", "skip people whose annotation is wrong and list them, or stop with an error"
    )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the crop."""
        return self.image_size, self.image_width

    def __post_init__(self):
        super().__post_init__()
        checks = {
            "dropout": (self.dropout == 0, "0 for keypoints"),
            "label_smoothing": (self.label_smoothing == 0, "0 for keypoints"),
            "min_scale": (self.min_scale == 1, "1 for keypoints; see zoom"),
            "image_size": (self.image_size % 32 == 0, "a multiple of 32"),
            "image_width": (
                self.image_width >= 32 and self.image_width % 32 == 0,
                "a multiple of 32",
            ),
            "sigma": (0 < self.sigma < 100, "above 0, below 100"),
            "zoom": (0 <= self.zoom < 1, "0 to below 1"),
            "rotation": (0 <= self.rotation <= 180, "0 to 180"),
            "rotation_share": (0 <= self.rotation_share <= 1, "0 to 1"),
            "half_body": (0 <= self.half_body <= 1, "0 to 1"),
            "on_bad_record": (
                self.on_bad_record in ON_BAD_RECORD,
                f"one of {', '.join(ON_BAD_RECORD)}",
            ),
        }
        for name, (fits, wanted) in checks.items():
            if not fits:
                raise ValueError(f"{name} must be {wanted}. Received: {getattr(self, name)!r}")


KEYPOINT_RECIPES: dict[str, KeypointConfig] = {
    # Height, width, batch and length of the paper's comparison on COCO; SGD in the place of Adam.
    "coco": KeypointConfig(
        batch_size=128, epochs=210, learning_rate=0.05, warmup_epochs=2, weight_decay=1e-5
    ),
    # Minutes: M0 on the stick figures of the bundled dataset, which are small and seldom turned.
    "quick": KeypointConfig(
        image_size=128,
        image_width=96,
        batch_size=32,
        epochs=36,
        learning_rate=0.02,
        warmup_epochs=1,
        weight_decay=1e-5,
        sigma=1.5,
        zoom=0.2,
        rotation=20.0,
        half_body=0.1,
    ),
}
