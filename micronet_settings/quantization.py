"""The settings of quantization."""

import dataclasses

from micronet_settings.fields import check_fields, documented, one_of, setting

ENGINES = ("tfmot", "keras")
MODES = ("qat", "ptq")


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """How a run's model is quantized; all else is read from the run.

    Raises:
        ValueError: a field is out of its range.
    """

    epochs: int = setting(
        1, "epochs of quantization-aware training; 0 is post-training quantization"
    )
    batch_size: int = setting(64, "images per step")
    learning_rate: float = setting(
        1e-5,
        "learning rate at the start, small as batch norms are folded; it falls to 0 along a cosine",
    )
    calibration_images: int = setting(512, "training images that give the first ranges")
    seed: int = setting(0, "of order and augmentation of the fine-tuning")
    engine: str = setting("tfmot", "what trains: tfmot (in tf_keras), or keras (in Keras 3)")

    def __post_init__(self):
        check_fields(
            self,
            epochs=(self.epochs >= 0, "at least 0"),
            batch_size=(self.batch_size >= 1, "at least 1"),
            learning_rate=(0 < self.learning_rate < float("inf"), "above 0"),
            calibration_images=(self.calibration_images >= 1, "at least 1"),
            seed=(0 <= self.seed < 2**31, "0 to 2147483647"),
            engine=one_of(self.engine, ENGINES),
        )
