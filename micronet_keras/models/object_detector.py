"""The detector: a backbone, a head, and one output for losses and decoding."""

from __future__ import annotations

import dataclasses

import keras

from micronet_keras import checks
from micronet_keras.boxes import Level, decode
from micronet_keras.layers import PackLevels
from micronet_keras.losses import DetectionLoss
from micronet_keras.metrics import BestMatch
from micronet_keras.models.detection_heads import DETECTION_HEADS
from micronet_keras.models.task_model import TaskModel
from micronet_mcu.decode.detection import Detections, Selection


@keras.saving.register_keras_serializable("micronet_keras")
class MicroNetObjectDetector(TaskModel):
    """Finds objects: boxes and their classes.

    Works as every Keras model does. `fit` and `evaluate` take as y float32 [batch, n, 5]: (top,
    left, bottom, right) in pixels and the class of each object, -1 for padding. `compile` has
    defaults: Adam, `DetectionLoss` and `BestMatch`. Called, it gives float [batch, places,
    classes + 4], class logits and raw boxes; `predict` decodes them.

    Args:
        backbone: a MicroNet, with or without top, or a model of `keras.applications` without top;
            of a fixed image size, divisible by 32. See `micronet_keras.models.feature_maps`.
        classes: number of classes.
        head: "light" for microcontrollers or "retinanet" for comparing backbones.
        name: of the model; "<backbone>_<head>" unless given.
        dtype: policy of the head's layers; the global one unless given.
        options: of the head: see `LightHead` (strides, width, blocks, kernel_size) and
            `RetinaNetHead` (width, convolutions).

    Input: what `preprocess_input` returns, float [batch, height, width, 3].

    Attributes:
        classes: number of classes.
        coder: what the raw boxes mean, a `PointCoder` or `AnchorCoder`.
        raw_outputs: Keras tensors of the maps before they are packed, scores and boxes of each
            level in turn, finest first.

    Raises:
        ValueError: an argument is out of range, or the backbone does not fit.
        TypeError: the head has no such option.

    Example:

    >>> import micronet_keras
    >>> backbone = micronet_keras.MicroNetM0(input_shape=(64, 64, 3), include_top=False)
    >>> detector = MicroNetObjectDetector(backbone, classes=3, width=16, blocks=1)
    >>> detector.output_shape  # 8 x 8 and 4 x 4 places
    (None, 80, 7)
    >>> found = detector.predict(np.zeros((2, 64, 64, 3), "float32"), verbose=0)
    >>> found[1].boxes.shape[1], found[1].scores.dtype
    (4, dtype('float32'))
    """

    def __init__(
        self,
        backbone: keras.Model,
        classes: int,
        *,
        head: str = "light",
        name: str | None = None,
        dtype=None,
        **options,
    ):
        checks.positive_int("classes", classes)
        if head not in DETECTION_HEADS:
            raise ValueError(f"`head` must be one of {tuple(DETECTION_HEADS)}. Received: {head!r}")
        built_of = DETECTION_HEADS[head](**options)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy()).name
        raw = built_of.outputs(backbone, classes, policy)
        packed = PackLevels(classes, dtype=policy, name="packed")(raw)
        super().__init__(backbone, packed, name or f"{backbone.name}_{head}")
        self.classes = classes
        self.raw_outputs = tuple(raw)
        self.coder = built_of.coder(_levels(raw, backbone.input_shape[1]))
        self._arguments = {
            "classes": classes,
            "head": head,
            "dtype": policy,
            **dataclasses.asdict(built_of),
        }

    def default_loss(self) -> DetectionLoss:
        return DetectionLoss(self.coder)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [BestMatch(self.coder)]

    def predict(
        self,
        x,
        batch_size=None,
        verbose="auto",
        steps=None,
        callbacks=None,
        *,
        selection: Selection = Selection(),  # noqa: B008 (frozen)
    ) -> list[Detections]:
        """The objects in each image.

        Args:
            x, batch_size, verbose, steps, callbacks: as of ``keras.Model.predict``.
            selection: which of the candidates to keep.

        Returns:
            For every image a `micronet_mcu.decode.Detections`: boxes float32 [k, 4] of (top, left,
            bottom, right) in pixels, scores float32 [k], labels int32 [k]; highest score first.
        """
        packed = super().predict(x, batch_size, verbose, steps, callbacks)
        return decode(packed, self.coder, selection, self.input_shape[1:3])

    def get_config(self):
        return {**super().get_config(), **self._arguments}


def _levels(raw: list[keras.KerasTensor], image_height: int) -> list[Level]:
    shapes = [tensor.shape for tensor in raw[1::2]]
    return [Level(h, w, -(-image_height // h)) for _, h, w, _ in shapes]
