"""Boxes through reading and batching: whole, in order, repeatable, and no bad one among them."""

import numpy as np
import pytest
from tiny_detection import SIZE, draw, make_source, spoiled

from micronet_keras.tasks.detection.targets import as_targets, eval_batches, train_batches
from micronet_mcu.errors import UserError


def test_bad_annotations_never_reach_a_batch():
    source = make_source({"train": 4}, spoiled)
    _, objects = next(iter(eval_batches(source, "train", (SIZE, SIZE), 4)))
    rows = objects[1][objects[1][:, 4] >= 0]
    np.testing.assert_allclose(rows[:, :4], [[6.4, 6.4, 38.4, 38.4]], rtol=1e-5)
    np.testing.assert_allclose(objects[2][0, :4], [0, 0, 32, 64], rtol=1e-5)
    for _, objects in train_batches(source, "train", (32, 32), 2, seed=0, epochs=3):
        assert np.isfinite(objects).all()
        rows = objects[objects[..., 4] >= 0].numpy()
        assert (rows[:, 2:4] > rows[:, :2]).all() and rows[:, :4].min() >= 0
        assert rows[:, :4].max() <= 32 and rows[:, 4].max() <= 1


def test_arguments_out_of_range_are_refused():
    source = make_source({"train": 2})
    with pytest.raises(UserError, match="fewer than one batch"):
        train_batches(source, "train", (32, 32), 3, seed=0)
    with pytest.raises(ValueError, match="Received: 0.9, 0.5"):
        train_batches(source, "train", (32, 32), 2, 0, smallest_window=0.9, largest_window=0.5)
    with pytest.raises(ValueError, match="mosaic"):
        train_batches(source, "train", (32, 32), 2, 0, mosaic=2)
    with pytest.raises(ValueError, match="first_epoch"):
        train_batches(source, "train", (32, 32), 2, 0, first_epoch=2, epochs=1)
    with pytest.raises(ValueError, match="on_bad_image"):
        eval_batches(source, "train", (32, 32), 2, on_bad_image="no")


@pytest.mark.parametrize("size", [(32, 32), (32, 64), (96, 32)])
def test_evaluation_sees_whole_images_and_remembers_their_scale(size):
    (images, objects), *_ = eval_batches(make_source({"train": 3}), "train", size, 3)
    assert images.shape == (3, *size, 3)
    for index in range(3):
        _, boxes, labels = draw(index)
        rows = objects[index][objects[index][:, 4] >= 0]
        np.testing.assert_allclose(rows[:, :4], boxes * SIZE / 2, atol=1e-4)
        np.testing.assert_array_equal(rows[:, 4], labels)
        assert (objects[index][:, 6][:1] == 2).numpy().all()


def test_crowds_are_marked_in_evaluation_and_left_out_of_training():
    source = make_source({"train": 8}, crowd=True)
    for _, objects in eval_batches(source, "train", (SIZE, SIZE), 8):
        real = objects.numpy()[objects[..., 4] >= 0]
        assert (real[:, 5] == 1).sum() == 8
        # The metric of training looks for the others only.
        left = as_targets(None, objects)[1].numpy()
        assert (left[..., 4] >= 0).sum() == len(real) - 8
    total = sum(len(draw(index)[1]) - 1 for index in range(8))
    batches = train_batches(
        source, "train", (SIZE, SIZE), 8, 0, smallest_window=1, largest_window=1
    )
    assert sum(int((objects[..., 4] >= 0).numpy().sum()) for _, objects in batches) == total


def test_epochs_repeat_and_can_be_entered_in_the_middle():
    def batches(first):
        stream = train_batches(
            make_source({"train": 6}), "train", (32, 64), 2, 5, first, 3, mosaic=0.5
        )
        return [(images.numpy(), objects.numpy()) for images, objects in stream]

    whole, rest = batches(0), batches(1)
    assert len(whole) == 9 and len(rest) == 6
    for (images, objects), (others, other_objects) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(objects, other_objects)
    assert not np.array_equal(whole[0][0], whole[3][0])
