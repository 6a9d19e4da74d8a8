"""What raw boxes mean, and which object a place is for, against cases worked by hand."""

import math

import keras
import numpy as np

from micronet_keras.boxes import BACKGROUND, IGNORED, AnchorCoder, Level, PointCoder
from micronet_keras.boxes import arithmetic as box_ops


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


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
