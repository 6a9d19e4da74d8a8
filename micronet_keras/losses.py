"""What the three kinds of models are trained to. All losses are known to Keras and can be saved."""

import math

import keras
from keras import ops

from micronet_keras.boxes import IGNORED, Coder, arithmetic
from micronet_settings.detection import BOX_LOSSES, CLASS_LOSSES


@keras.saving.register_keras_serializable("micronet_keras")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits [B, classes] against integer labels, with label smoothing.

    y_true: [B] or [B, 1].
    y_pred: [B, classes].

    The target is 1 - label_smoothing + label_smoothing / classes for the true class and
    label_smoothing / classes for every other one (Keras' and PyTorch's convention). The authors'
    code spreads the share over the other classes only; all their recipes set it to 0.

    Args:
        label_smoothing: 0 to below 1.

    Example:

    >>> loss = SmoothedCrossentropy(0.1)
    >>> round(float(loss(np.array([1]), np.array([[0.0, 0.0]], "float32"))), 4)
    0.6931
    """

    def __init__(self, label_smoothing=0.0, name="smoothed_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        log_probability = ops.log_softmax(y_pred)
        # Keras hands labels over as floats, and some pipelines as a column.
        classes = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        labels = ops.one_hot(classes, y_pred.shape[-1], dtype=log_probability.dtype)
        of_true_class = ops.sum(labels * log_probability, axis=-1)
        of_all_classes = ops.mean(log_probability, axis=-1)
        return -((1 - self.label_smoothing) * of_true_class + self.label_smoothing * of_all_classes)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def focal_loss(targets, logits, alpha: float = 0.25, gamma: float = 2.0):
    """Focal loss of every entry: cross-entropy, with what is well classified already damped.

    Args:
        targets: 0 or 1, any shape.
        logits: the same shape.
        alpha: weight of the ones; the zeros have 1 - alpha.
        gamma: power of the damping, 0 or more.

    Source: Lin et al., ICCV 2017.
    """
    entropy = ops.binary_crossentropy(targets, logits, from_logits=True)
    miss = ops.abs(targets - ops.sigmoid(logits))
    weight = targets * alpha + (1 - targets) * (1 - alpha)
    return weight * miss**gamma * entropy


def varifocal_loss(targets, logits, alpha: float = 0.75, gamma: float = 2.0):
    """Varifocal loss of every entry: the score of an object is to be the IoU of its box.

    Args:
        targets: the IoU, 0 to 1, at the object's class, 0 elsewhere; any shape.
        logits: the same shape.
        alpha: weight of the zeros.
        gamma: power of the damping of well classified zeros; the others are weighted by the target.

    Source: Zhang et al., CVPR 2021.
    """
    entropy = ops.binary_crossentropy(targets, logits, from_logits=True)
    zeros = alpha * ops.sigmoid(logits) ** gamma
    return ops.where(targets > 0, targets, zeros) * entropy


@keras.saving.register_keras_serializable("micronet_keras")
class DetectionLoss(keras.losses.Loss):
    """Score loss plus box loss over all places, divided by the number of places with an object.

    y_true [batch, objects, 5]: (top, left, bottom, right) in pixels and the class, -1 for padding.
    y_pred [batch, places, classes + 4]: logits and raw boxes, as `MicroNetObjectDetector` gives.

    Args:
        coder: knows which place is for which object.
        class_loss: "varifocal" or "focal".
        box_loss: "giou" or "ciou", of the decoded boxes.
        box_weight: factor of the box loss.

    Raises:
        ValueError: there is no such loss.

    Example:

    >>> from micronet_keras.boxes import Level, PointCoder
    >>> loss = DetectionLoss(PointCoder([Level(height=2, width=2, stride=16)]), box_loss="ciou")
    >>> nothing = np.full((1, 1, 5), -1, "float32")
    >>> float(loss(nothing, np.zeros((1, 4, 10 + 4), "float32"))) > 0
    True
    """

    def __init__(
        self,
        coder: Coder,
        class_loss: str = "varifocal",
        box_loss: str = "giou",
        box_weight: float = 2.0,
        name: str = "detection_loss",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        for value, known in ((class_loss, CLASS_LOSSES), (box_loss, BOX_LOSSES)):
            if value not in known:
                raise ValueError(f"The loss must be one of {known}. Received: {value!r}")
        self.coder, self.class_loss, self.box_loss = coder, class_loss, box_loss
        self.box_weight = box_weight

    def call(self, y_true, y_pred):
        y_pred = ops.cast(y_pred, "float32")
        logits, decoded = y_pred[..., :-4], self.coder.decode(y_pred[..., -4:])
        boxes, labels = y_true[..., :4], ops.cast(y_true[..., 4], "int32")
        matched = self.coder.assign(boxes, labels >= 0)
        positive = ops.cast(matched >= 0, "float32")
        chosen = ops.maximum(matched, 0)
        target_boxes = ops.take_along_axis(boxes, chosen[..., None], axis=1)
        target_labels = ops.take_along_axis(labels, chosen, axis=1)
        one_hot = ops.one_hot(target_labels, logits.shape[-1]) * positive[..., None]

        quality = ops.stop_gradient(arithmetic.iou(decoded, target_boxes))
        if self.class_loss == "varifocal":
            entries = varifocal_loss(one_hot * quality[..., None], logits)
            box_weights = positive * quality
        else:
            entries = focal_loss(one_hot, logits)
            box_weights = positive
        counted = ops.cast(matched != IGNORED, "float32")[..., None]
        of_classes = ops.sum(entries * counted, axis=(1, 2))
        similarity = getattr(arithmetic, self.box_loss)(decoded, target_boxes)
        of_boxes = ops.sum((1 - similarity) * box_weights, axis=1)
        # Divided by the places of the whole batch, so that an image without objects weighs little.
        share = ops.mean(ops.sum(positive, axis=1))
        return (of_classes + self.box_weight * of_boxes) / ops.maximum(share, 1.0)

    def get_config(self):
        return {
            **super().get_config(),
            "coder": keras.saving.serialize_keras_object(self.coder),
            "class_loss": self.class_loss,
            "box_loss": self.box_loss,
            "box_weight": self.box_weight,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "coder": keras.saving.deserialize_keras_object(config["coder"])})


@keras.saving.register_keras_serializable("micronet_keras")
class HeatmapLoss(keras.losses.Loss):
    """Squared distance to Gaussians of height 1, as a share of the Gaussians' own energy.

    A model that puts out zeros has a loss of 1 whatever the size of the maps. Gaussians are
    centred at the exact coordinates, not at the nearest cell, so that nothing has to be corrected
    when they are decoded. Keypoints of weight 0 (not labelled, or outside the crop) do not count.

    y_true: float [B, keypoints, 3]: x and y in cells from the edge of the map, weight 0 or 1.
    y_pred: float [B, height, width, keypoints].

    Args:
        sigma: standard deviation of the Gaussians in heatmap cells, above 0; the usual 2 is for
            maps of 64 x 48.

    Raises:
        ValueError: sigma is not above 0.

    Example:

    >>> in_the_middle = np.array([[[8.0, 8.0, 1.0]]], "float32")
    >>> round(float(HeatmapLoss(1.0)(in_the_middle, np.zeros((1, 16, 16, 1), "float32"))), 3)
    1.0
    """

    def __init__(self, sigma: float = 2.0, name="heatmap_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 < sigma < math.inf:
            raise ValueError(f"`sigma` must be above 0. Received: {sigma=}")
        self.sigma = sigma

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, y_pred.dtype)
        weights = y_true[..., 2]
        difference = y_pred - gaussians(y_true, y_pred.shape[1:3], self.sigma)
        energy = ops.sum(ops.square(difference), axis=(1, 2)) / (math.pi * self.sigma**2)
        return ops.sum(weights * energy, axis=-1) / ops.maximum(ops.sum(weights, axis=-1), 1)

    def get_config(self):
        return {**super().get_config(), "sigma": self.sigma}


def gaussians(keypoints, size: tuple[int, int], sigma: float):
    """[B, keypoints, 2 or more] of (x, y) in cells -> maps [B, height, width, keypoints]."""

    def along(position, length):
        centres = ops.arange(length, dtype=keypoints.dtype) + 0.5
        return ops.exp(-ops.square(centres - position[..., None]) / (2 * sigma**2))

    columns, rows = along(keypoints[..., 0], size[1]), along(keypoints[..., 1], size[0])
    rows = ops.transpose(rows, (0, 2, 1))[:, :, None, :]
    return rows * ops.transpose(columns, (0, 2, 1))[:, None, :, :]
