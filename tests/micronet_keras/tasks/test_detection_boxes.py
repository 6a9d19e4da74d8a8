"""Overlaps, codings, assignment and losses of detection, against cases worked by hand."""

import math

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st

from micronet_keras import losses, metrics
from micronet_keras.boxes import BACKGROUND, IGNORED, AnchorCoder, Level, PointCoder, coders
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
@hypothesis.settings(max_examples=50, deadline=None)
def test_overlaps_are_symmetric_and_ordered(one, other):
    overlap, generalized, complete = (
        float(numbers(f(one, other))) for f in (box_ops.iou, box_ops.giou, box_ops.ciou)
    )
    assert overlap == pytest.approx(float(numbers(box_ops.iou(other, one))), abs=1e-6)
    assert -1e-5 <= overlap <= 1 + 1e-5
    assert -1 - 1e-4 <= generalized <= overlap + 1e-4
    assert complete <= overlap + 1e-5


def two_levels():
    return PointCoder([Level(4, 4, 8), Level(2, 2, 16)], largest=2.0, radius=1.5)


def test_point_coder_decodes_distances():
    coder = PointCoder([Level(2, 2, 8)])
    raw = np.full((1, 4, 4), math.log(math.expm1(1.0)), "float32")
    boxes = numbers(coder.decode(raw))
    # Softplus gives 1 stride: 8 pixels around the centres 4 and 12.
    np.testing.assert_allclose(boxes[0, 0], [-4, -4, 12, 12], atol=1e-5)
    np.testing.assert_allclose(boxes[0, 3], [4, 4, 20, 20], atol=1e-5)


def assigned(coder, *objects):
    rows = np.array([objects], "float32")
    return numbers(coder.assign(rows, np.ones(rows.shape[:2], bool)))[0]


def test_places_near_the_centre_and_inside_are_for_the_object():
    # Centre (8, 8), 16 pixels: on the finer level (2 * 8), whose places are at 4, 12, 20, 28.
    matched = assigned(two_levels(), (0, 0, 16, 16))
    expected = np.full((4, 4), BACKGROUND)
    expected[:2, :2] = 0
    np.testing.assert_array_equal(matched[:16].reshape(4, 4), expected)
    assert (matched[16:] == BACKGROUND).all()


def test_larger_objects_go_to_the_coarser_level():
    # 17 pixels high: more than twice the stride of 8. Centre (16.5, 16): all places within 24.
    matched = assigned(two_levels(), (8, 9, 25, 23))
    assert (matched[:16] == BACKGROUND).all()
    # Places at 8 and 24 with the box from 8 to 25: only those strictly inside (24), in columns
    # 9 to 23 none, so that the nearest one is forced: (24 or 8, 8 or 24) are equally near in x.
    assert (matched[16:] == 0).sum() == 1


def test_the_smaller_object_wins_where_two_overlap():
    large, small = (0, 0, 16, 16), (0, 0, 9, 9)
    for order in ((large, small), (small, large)):
        matched = assigned(two_levels(), *order)[:16].reshape(4, 4)
        assert matched[0, 0] == order.index(small)
        assert matched[1, 1] == order.index(large)


def test_a_tiny_object_still_has_a_place():
    matched = assigned(two_levels(), (8, 8, 9, 9))
    assert (matched >= 0).sum() == 1
    # Centre 8.5: the place at 12 is nearer than that at 4.
    assert matched[:16].reshape(4, 4)[1, 1] == 0


def test_padding_is_for_nobody():
    boxes = np.array([[[0, 0, 16, 16]]], "float32")
    for coder in (two_levels(), AnchorCoder([Level(4, 4, 8)])):
        assert (numbers(coder.assign(boxes, np.zeros((1, 1), bool))) == BACKGROUND).all()


def test_anchors_of_one_place():
    coder = AnchorCoder([Level(1, 1, 8)])
    anchors = coder.anchors
    sizes = anchors[:, 2:] - anchors[:, :2]
    assert anchors.shape == (9, 4)
    np.testing.assert_allclose((anchors[:, 2:] + anchors[:, :2]) / 2, 4.0, atol=1e-4)
    areas = np.repeat([(32 * 2 ** (k / 3)) ** 2 for k in range(3)], 3)
    np.testing.assert_allclose(sizes.prod(axis=1), areas, rtol=1e-5)
    np.testing.assert_allclose(sizes[:, 0] / sizes[:, 1], [0.5, 1, 2] * 3, rtol=1e-5)


def test_anchor_decoding_by_hand():
    coder = AnchorCoder([Level(1, 1, 8)])
    raw = np.zeros((1, 9, 4), "float32")
    np.testing.assert_allclose(numbers(coder.decode(raw))[0], coder.anchors, atol=1e-4)
    # The square 32 x 32 anchor around (4, 4), moved by a quarter down and twice as wide.
    raw[0, 1] = [0.25, 0, 0, math.log(2)]
    np.testing.assert_allclose(
        numbers(coder.decode(raw))[0, 1], [4 + 8 - 16, 4 - 32, 4 + 8 + 16, 4 + 32], atol=1e-4
    )
    raw[0, 1] = 1e4
    assert np.isfinite(numbers(coder.decode(raw))).all()


def test_anchor_assignment_by_hand():
    coder = AnchorCoder([Level(1, 1, 8)])
    # The square anchor itself; overlaps of the others with it by their sizes.
    overlaps = numbers(box_ops.pairwise_iou(coder.anchors, coder.anchors[1:2]))[:, 0]
    matched = assigned(coder, tuple(coder.anchors[1]))
    expected = np.where(overlaps >= 0.5, 0, np.where(overlaps >= 0.4, IGNORED, BACKGROUND))
    np.testing.assert_array_equal(matched, expected)
    # 32^2 / (32 * 2^(1/3))^2 = 0.63 is for it; 32^2 / (32 * 2^(2/3))^2 = 0.397 is background.
    assert matched[4] == 0 and matched[7] == BACKGROUND
    # A tiny object has no anchor at 0.5: its best one is for it all the same.
    assert (assigned(coder, (3, 3, 5, 5)) >= 0).sum() == 1


def test_focal_loss_by_hand():
    loss = numbers(losses.focal_loss(np.array([1.0, 0.0]), np.array([0.0, 0.0])))
    # p = 1/2: weights 1/4 and 3/4, damping 1/4, cross-entropy log 2.
    np.testing.assert_allclose(loss, [0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)], 1e-5)


def test_varifocal_loss_by_hand():
    loss = numbers(losses.varifocal_loss(np.array([0.8, 0.0]), np.array([0.0, 0.0])))
    # Cross-entropy of any target with p = 1/2 is log 2.
    np.testing.assert_allclose(loss, [0.8 * math.log(2), 0.75 * 0.25 * math.log(2)], 1e-5)


def perfect(coder, boxes, labels, classes, places):
    """Packed outputs that say exactly the objects at the places that are for them."""
    matched = assigned(coder, *boxes)
    packed = np.zeros((1, places, classes + 4), "float32")
    packed[..., :classes] = -30
    centres = np.concatenate([level.centres() for level in coder.levels])
    strides = np.repeat(
        [v.stride for v in coder.levels], [v.height * v.width for v in coder.levels]
    )
    for place in np.flatnonzero(matched >= 0):
        top, left, bottom, right = boxes[matched[place]]
        y, x = centres[place]
        distances = np.array([y - top, x - left, bottom - y, right - x]) / strides[place]
        packed[0, place, classes:] = np.log(np.expm1(distances))
        packed[0, place, labels[matched[place]]] = 30
    return packed


@pytest.mark.parametrize("class_loss", losses.CLASS_LOSSES)
@pytest.mark.parametrize("box_loss", losses.BOX_LOSSES)
def test_a_perfect_answer_costs_nothing_and_a_wrong_one_does(class_loss, box_loss):
    coder = two_levels()
    boxes, labels = [(0, 0, 16, 16), (4, 16, 30, 31)], [2, 0]
    packed = perfect(coder, boxes, labels, classes=3, places=20)
    truth = np.array([[[*b, label] for b, label in zip(boxes, labels, strict=True)]], "float32")
    truth = np.concatenate([truth, [[[0, 0, 0, 0, -1]]]], axis=1).astype("float32")
    loss = losses.DetectionLoss(coder, class_loss, box_loss)
    assert float(loss(truth, packed)) == pytest.approx(0, abs=1e-3)
    swapped = packed.copy()
    swapped[..., [0, 2]] = packed[..., [2, 0]]
    assert float(loss(truth, swapped)) > 1
    metric = metrics.BestMatch(coder)
    metric.update_state(truth, packed)
    assert float(metric.result()) == pytest.approx(1, abs=1e-3)
    metric.reset_state()
    metric.update_state(truth, swapped)
    assert float(metric.result()) < 0.01


def test_images_without_objects_have_a_finite_loss():
    truth = np.array([[[0, 0, 0, 0, -1]]], "float32")
    loss = losses.DetectionLoss(two_levels())
    assert np.isfinite(float(loss(truth, np.zeros((1, 20, 7), "float32"))))


def test_unknown_losses_are_refused():
    with pytest.raises(ValueError, match="Received: 'l1'"):
        losses.DetectionLoss(two_levels(), box_loss="l1")


def test_packing_keeps_places_and_anchors_in_order():
    random = np.random.RandomState(0)
    outputs = [random.rand(2, 3, 4, n).astype("float32") for n in (9 * 5, 36)]
    packed = numbers(coders.pack(outputs, 5))
    assert packed.shape == (2, 3 * 4 * 9, 9)
    np.testing.assert_array_equal(packed[1, (2 * 4 + 1) * 9 + 7, :5], outputs[0][1, 2, 1, 35:40])
    np.testing.assert_array_equal(packed[1, (2 * 4 + 1) * 9 + 7, 5:], outputs[1][1, 2, 1, 28:32])
