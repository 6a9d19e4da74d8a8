"""Scores and boxes of all levels as one tensor, in the order in which coders number places."""

import numpy as np
import pytest

from micronet_keras.layers import PackLevels


def test_packing_keeps_places_and_anchors_in_order():
    random = np.random.RandomState(0)
    outputs = [random.rand(2, 3, 4, n).astype("float32") for n in (9 * 5, 36)]
    packed = np.asarray(PackLevels(5)(outputs))
    assert packed.shape == (2, 3 * 4 * 9, 9)
    np.testing.assert_array_equal(packed[1, (2 * 4 + 1) * 9 + 7, :5], outputs[0][1, 2, 1, 35:40])
    np.testing.assert_array_equal(packed[1, (2 * 4 + 1) * 9 + 7, 5:], outputs[1][1, 2, 1, 28:32])


def test_levels_follow_each_other():
    outputs = [np.full((1, side, side, n), side + n, "float32") for side in (4, 2) for n in (3, 4)]
    packed = np.asarray(PackLevels(3)(outputs))
    assert packed.shape == (1, 16 + 4, 7)
    np.testing.assert_array_equal(packed[0, :, 0], [7] * 16 + [5] * 4)
    np.testing.assert_array_equal(packed[0, :, 6], [8] * 16 + [6] * 4)


@pytest.mark.parametrize("channels", [(4, 4), (3, 8), (3,), (6, 4)])
def test_what_is_no_pair_of_maps_is_refused(channels):
    maps = [np.zeros((1, 2, 2, n), "float32") for n in channels]
    with pytest.raises(ValueError, match="PackLevels takes scores of 3 classes"):
        PackLevels(3)(maps)
