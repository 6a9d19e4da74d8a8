"""Arithmetic on boxes in plain tensor operations; a box is (top, left, bottom, right) in pixels."""

import math

from keras import ops

_EPSILON = 1e-7


def area(boxes):
    """Areas [...] of boxes [..., 4]; 0 for a box whose sides are in the wrong order."""
    size = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return size[..., 0] * size[..., 1]


def iou(boxes, others):
    """Intersection over union [...] of boxes [..., 4] with their partners; 0 to 1.

    The leading axes are broadcast; two boxes without area have an overlap of 0.
    """
    intersection, union = _intersection_and_union(boxes, others)
    return intersection / ops.maximum(union, _EPSILON)


def pairwise_iou(boxes, others):
    """Intersection over union [..., n, m] of every box [..., n, 4] with every other [..., m, 4].

    Example:

    >>> others = np.array([[0.0, 1, 2, 3], [5, 5, 6, 6]])
    >>> np.round(pairwise_iou(np.array([[0.0, 0, 2, 2]]), others), 3).tolist()
    [[0.333, 0.0]]
    """
    return iou(ops.expand_dims(boxes, -2), ops.expand_dims(others, -3))


def giou(boxes, others):
    """Generalized IoU [...], -1 to 1: it also tells how far apart two boxes are that do not meet.

    IoU - (hull - union) / hull, the hull being the smallest box around both. Source: Rezatofighi et
    al., CVPR 2019.
    """
    intersection, union = _intersection_and_union(boxes, others)
    hull = area(_hull(boxes, others))
    overlap = intersection / ops.maximum(union, _EPSILON)
    return overlap - (hull - union) / ops.maximum(hull, _EPSILON)


def ciou(boxes, others):
    """Complete IoU [...]: IoU, less the distance of the centres, less the difference of the shapes.

    IoU - d^2 / c^2 - alpha * v with d the distance of the centres, c the diagonal of the smallest
    box around both, v = (4 / pi^2) * (atan(w / h) - atan(w' / h'))^2 and alpha = v / (1 - IoU + v),
    through which no gradient flows. Source: Zheng et al., AAAI 2020.
    """
    overlap = iou(boxes, others)
    hull = _hull(boxes, others)
    diagonal = ops.sum(ops.square(hull[..., 2:] - hull[..., :2]), axis=-1)
    centres = boxes[..., :2] + boxes[..., 2:] - others[..., :2] - others[..., 2:]
    distance = ops.sum(ops.square(centres), axis=-1) / 4
    v = ops.square(_angle(boxes) - _angle(others)) * (4 / math.pi**2)
    alpha = ops.stop_gradient(v / ops.maximum(1 - overlap + v, _EPSILON))
    return overlap - distance / ops.maximum(diagonal, _EPSILON) - alpha * v


def _intersection_and_union(boxes, others):
    start = ops.maximum(boxes[..., :2], others[..., :2])
    end = ops.minimum(boxes[..., 2:], others[..., 2:])
    intersection = area(ops.concatenate([start, end], axis=-1))
    return intersection, area(boxes) + area(others) - intersection


def _hull(boxes, others):
    start = ops.minimum(boxes[..., :2], others[..., :2])
    end = ops.maximum(boxes[..., 2:], others[..., 2:])
    return ops.concatenate([start, end], axis=-1)


def _angle(boxes):
    size = ops.maximum(boxes[..., 2:] - boxes[..., :2], _EPSILON)
    return ops.arctan(size[..., 1] / size[..., 0])
