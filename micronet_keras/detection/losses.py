"""What a detector is trained to: losses of its packed outputs against padded lists of objects."""

import keras
from keras import ops

from micronet_keras.detection import boxes as box_ops
from micronet_keras.detection.coders import IGNORED, Coder

CLASS_LOSSES = ("varifocal", "focal")
BOX_LOSSES = ("giou", "ciou")


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


class DetectionLoss(keras.losses.Loss):
    """Score loss plus box loss over all places, divided by the number of places with an object.

    y_true [batch, objects, 5]: (top, left, bottom, right) in pixels and the class, -1 for padding.
    y_pred [batch, places, classes + 4]: see `micronet_keras.detection.pack`.

    Args:
        coder: knows which place is for which object.
        class_loss: "varifocal" or "focal".
        box_loss: "giou" or "ciou", of the decoded boxes.
        box_weight: factor of the box loss.
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

        quality = ops.stop_gradient(box_ops.iou(decoded, target_boxes))
        if self.class_loss == "varifocal":
            entries = varifocal_loss(one_hot * quality[..., None], logits)
            box_weights = positive * quality
        else:
            entries = focal_loss(one_hot, logits)
            box_weights = positive
        counted = ops.cast(matched != IGNORED, "float32")[..., None]
        of_classes = ops.sum(entries * counted, axis=(1, 2))
        similarity = getattr(box_ops, self.box_loss)(decoded, target_boxes)
        of_boxes = ops.sum((1 - similarity) * box_weights, axis=1)
        # Divided by the places of the whole batch, so that an image without objects weighs little.
        share = ops.mean(ops.sum(positive, axis=1))
        return (of_classes + self.box_weight * of_boxes) / ops.maximum(share, 1.0)


class BestMatch(keras.metrics.Mean):
    """How well the objects are found: mean of the best score x IoU that any place gives for each.

    0 to 1, higher is better. It is cheap enough for every epoch, needs no suppression of doubles,
    and chooses the best epoch; it does not see false alarms. Arguments as of `DetectionLoss`.
    """

    def __init__(self, coder: Coder, name: str = "best_match", **kwargs):
        super().__init__(name=name, **kwargs)
        self.coder = coder

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.cast(y_pred, "float32")
        labels = ops.cast(y_true[..., 4], "int32")
        overlap = box_ops.pairwise_iou(y_true[..., :4], self.coder.decode(y_pred[..., -4:]))
        scores = ops.transpose(ops.sigmoid(y_pred[..., :-4]), (0, 2, 1))
        of_label = ops.take_along_axis(scores, ops.maximum(labels, 0)[..., None], axis=1)
        best = ops.max(overlap * of_label, axis=-1)
        super().update_state(best, sample_weight=ops.cast(labels >= 0, "float32"))
