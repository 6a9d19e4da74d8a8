"""How well a model does, cheap enough for every epoch. Known to Keras and can be saved."""

import math

import keras
from keras import ops

from micronet_keras.boxes import Coder, arithmetic


@keras.saving.register_keras_serializable("micronet_keras")
class LabelAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Share of the labels that have the highest score; a label below 0 is of no example.

    y_true [batch], y_pred [batch, classes].

    Example:

    >>> metric = LabelAccuracy()
    >>> metric.update_state([1, 0, -1], [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        counted = ops.cast(labels >= 0, "float32")
        if sample_weight is not None:
            counted = counted * ops.cast(sample_weight, "float32")
        super().update_state(ops.maximum(labels, 0), y_pred, sample_weight=counted)


@keras.saving.register_keras_serializable("micronet_keras")
class BestMatch(keras.metrics.Mean):
    """How well the objects are found: mean of the best score x IoU that any place gives for each.

    0 to 1, higher is better. It needs no suppression of doubles, and chooses the best epoch; it
    does not see false alarms. y_true and y_pred as of `micronet_keras.losses.DetectionLoss`.

    Args:
        coder: knows what the raw boxes mean.

    Example:

    >>> from micronet_keras.boxes import Level, PointCoder
    >>> metric = BestMatch(PointCoder([Level(height=2, width=2, stride=16)]))
    >>> an_object = np.array([[[0, 0, 16, 16, 1]]], "float32")
    >>> metric.update_state(an_object, np.full((1, 4, 2 + 4), -9, "float32"))
    >>> float(metric.result()) < 0.01
    True
    """

    def __init__(self, coder: Coder, name: str = "best_match", **kwargs):
        super().__init__(name=name, **kwargs)
        self.coder = coder

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.cast(y_pred, "float32")
        labels = ops.cast(y_true[..., 4], "int32")
        overlap = arithmetic.pairwise_iou(y_true[..., :4], self.coder.decode(y_pred[..., -4:]))
        scores = ops.transpose(ops.sigmoid(y_pred[..., :-4]), (0, 2, 1))
        of_label = ops.take_along_axis(scores, ops.maximum(labels, 0)[..., None], axis=1)
        best = ops.max(overlap * of_label, axis=-1)
        super().update_state(best, sample_weight=ops.cast(labels >= 0, "float32"))

    def get_config(self):
        return {**super().get_config(), "coder": keras.saving.serialize_keras_object(self.coder)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "coder": keras.saving.deserialize_keras_object(config["coder"])})


@keras.saving.register_keras_serializable("micronet_keras")
class KeypointAccuracy(keras.metrics.Mean):
    """Share of the labelled keypoints whose peak lies near: the PCK of pose estimation.

    Near is within `share` of the map's height, measured to the centre of the cell with the largest
    value. y_true and y_pred as of `micronet_keras.losses.HeatmapLoss`.

    Args:
        share: above 0.

    Raises:
        ValueError: share is not above 0.

    Example:

    >>> metric = KeypointAccuracy()
    >>> maps = np.zeros((1, 16, 16, 1), "float32")
    >>> maps[0, 3, 5] = 1
    >>> metric.update_state(np.array([[[5.5, 3.5, 1.0]]], "float32"), maps)
    >>> float(metric.result())
    1.0
    """

    def __init__(self, share: float = 0.05, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 < share < math.inf:
            raise ValueError(f"`share` must be above 0. Received: {share=}")
        self.share = share

    def update_state(self, y_true, y_pred, sample_weight=None):
        _, height, width, keypoints = y_pred.shape
        y_true = ops.cast(y_true, y_pred.dtype)
        place = ops.argmax(ops.reshape(y_pred, (-1, height * width, keypoints)), axis=1)
        x = ops.cast(place % width, y_pred.dtype) + 0.5
        y = ops.cast(place // width, y_pred.dtype) + 0.5
        distance = ops.sqrt(ops.square(x - y_true[..., 0]) + ops.square(y - y_true[..., 1]))
        near = ops.cast(distance <= self.share * height, y_pred.dtype)
        super().update_state(near, sample_weight=y_true[..., 2])

    def get_config(self):
        return {**super().get_config(), "share": self.share}
