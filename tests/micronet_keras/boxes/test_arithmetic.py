"""Overlaps of boxes, against cases worked by hand."""

import math

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st

from micronet_keras.boxes import arithmetic as box_ops


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def box(*edges):
    return np.array([edges], "float32")


def test_overlaps_of_two_boxes_by_hand():
    # 2 x 2 and 2 x 2, a quarter of each shared: union 7, hull 3 x 3.
    one, other = box(0, 0, 2, 2), box(1, 1, 3, 3)
    assert numbers(box_ops.iou(one, other)) == pytest.approx(1 / 7)
    assert numbers(box_ops.giou(one, other)) == pytest.approx(1 / 7 - 2 / 9)
    # Equal shapes, centres 2 apart squared, diagonal 18 squared.
    assert numbers(box_ops.ciou(one, other)) == pytest.approx(1 / 7 - 2 / 18)


def test_boxes_apart_are_told_by_their_distance():
    near, far = box(0, 3, 2, 5), box(0, 8, 2, 10)
    reference = box(0, 0, 2, 2)
    assert numbers(box_ops.iou(reference, near)) == 0
    # Hull 2 x 5 with a union of 8; hull 2 x 10 with a union of 8.
    assert numbers(box_ops.giou(reference, near)) == pytest.approx(-2 / 10)
    assert numbers(box_ops.giou(reference, far)) == pytest.approx(-12 / 20)


def test_ciou_punishes_another_shape():
    # One centre, IoU 4 / 8: only the shape differs.
    tall, wide = box(-2, -1, 2, 1), box(-1, -2, 1, 2)
    v = 4 / math.pi**2 * (math.atan(1 / 2) - math.atan(2)) ** 2
    overlap = 4 / 12
    assert numbers(box_ops.ciou(tall, wide)) == pytest.approx(
        overlap - v * v / (1 - overlap + v), abs=1e-6
    )


def test_boxes_without_area_overlap_nothing():
    nothing = box(1, 1, 1, 5)
    for function in (box_ops.iou, box_ops.giou, box_ops.ciou):
        assert np.isfinite(numbers(function(nothing, nothing))).all()
    assert numbers(box_ops.iou(nothing, box(0, 0, 9, 9))) == 0


corner = st.floats(-50, 50, width=32)
side = st.floats(0, 80, width=32)
some_box = st.tuples(corner, corner, side, side).map(
    lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]], "float32")
)


@hypothesis.given(some_box, some_box)
@hypothesis.settings(max_examples=50)
def test_overlaps_are_symmetric_and_ordered(one, other):
    overlap, generalized, complete = (
        float(numbers(f(one, other))) for f in (box_ops.iou, box_ops.giou, box_ops.ciou)
    )
    assert overlap == pytest.approx(float(numbers(box_ops.iou(other, one))), abs=1e-6)
    assert -1e-5 <= overlap <= 1 + 1e-5
    assert -1 - 1e-4 <= generalized <= overlap + 1e-4
    assert complete <= overlap + 1e-5
