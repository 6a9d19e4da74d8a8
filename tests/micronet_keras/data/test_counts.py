"""Counts of classes, as people read them."""

import pytest

from micronet_keras.data import balanced_weights
from micronet_keras.data.counts import counts_line


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"a": 2, "b": 1}, "3 images: 2 a, 1 b"),
        ({"a": 0, "b": 1}, "1 images: 1 b; none of a"),
        ({"a": 0}, "0 images; none of a"),
        (
            {f"c{i}": i for i in range(40)},
            "780 images of 39 classes, from 1 (c1) to 39 (c39); none of c0",
        ),
    ],
)
def test_a_line(counts, text):
    assert counts_line(counts, "images") == text


def test_classes_that_are_not_there_weigh_nothing():
    assert balanced_weights({"a": 4, "b": 0, "c": 4}).tolist() == [1, 0, 1]
