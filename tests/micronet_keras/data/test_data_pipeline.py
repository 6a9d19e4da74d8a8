"""Batches: pure in (seed, epoch), whole pixels, nothing lost, bad images skipped or refused."""

import numpy as np
import pytest
import tensorflow as tf
from picture_folders import paint_folder
from PIL import Image

from micronet_keras.data import eval_batches, load_dataset, pipeline, train_batches
from micronet_mcu.errors import UserError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """40 training images, each of noise of its own; 3 x 5 for evaluation."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 5)):
        for name in ("a", "b"):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{index}.png")
    return load_dataset(str(folder))


def batches(source, **options):
    arguments = {"seed": 1, "epochs": 1, **options}
    return [(x.numpy(), y.numpy()) for x, y in train_batches(source, "train", 16, 8, **arguments)]


def same(first, second) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a, c) and np.array_equal(b, d)
        for (a, b), (c, d) in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("cache_bytes", [2**30, 0], ids=["in memory", "streamed"])
def test_an_epoch_is_a_function_of_seed_and_number(source, cache_bytes):
    whole = batches(source, epochs=4, cache_bytes=cache_bytes)
    assert len(whole) == 4 * 5
    for images, labels in whole:
        assert images.shape == (8, 16, 16, 3) and images.dtype == np.uint8
        assert labels.shape == (8,) and labels.dtype == np.int32
    resumed = batches(source, first_epoch=2, epochs=4, cache_bytes=cache_bytes)
    assert same(whole[10:], resumed)
    assert not same(whole[:5], whole[5:10])
    assert not same(whole, batches(source, seed=2, epochs=4, cache_bytes=cache_bytes))


def test_the_programs_own_seed_does_not_matter(source):
    first = batches(source, seed=0)
    tf.random.set_seed(99)
    assert same(first, batches(source, seed=0))


def test_every_image_once_an_epoch(source, tmp_path):
    """With nothing cut off and nothing flipped the images are those of the folder."""
    options = {"min_scale": 1.0, "flip": False}
    monochrome = load_dataset(str(paint_folder(tmp_path, ["a", "b"], 60, size=(16, 16))))
    count = monochrome.splits["train"] // 8 * 8
    found = [
        (tuple(image[0, 0]), label)
        for images, labels in batches(monochrome, **options)
        for image, label in zip(images, labels, strict=True)
    ]
    assert len(found) == len(set(found)) == count
    assert all((colour[0] == 60) == (label == 1) for colour, label in found)


def _crops(shape, min_scale, count=400, aspect=1.0):
    @tf.function
    def crop(number):
        random = tf.random.stateless_uniform((10, 4), (3, number))
        return tf.stack(pipeline._random_crop(tf.constant(shape), random, min_scale, aspect))

    return (crop(tf.constant(number)).numpy().tolist() for number in range(count))


@pytest.mark.parametrize(("min_scale", "aspect"), [(0.08, 1.0), (0.5, 1.0), (0.08, 2.0)])
def test_random_crop(min_scale, aspect):
    shares, ratios = [], []
    for top, left, height, width in _crops((200, 300, 3), min_scale, aspect=aspect):
        assert 0 <= top <= 200 - height and 0 <= left <= 300 - width
        shares.append(height * width / 60000)
        ratios.append(width / height / aspect)
    assert min_scale - 0.02 < min(shares) < min_scale + 0.15 and 0.85 < max(shares) <= 1
    assert 0.74 < min(ratios) < 0.85 and 1.2 < max(ratios) < 1.35


def test_random_crop_that_cannot_fit_takes_the_middle():
    assert next(_crops((10, 100, 3), 1.0)) == [0, 43, 10, 13]
    assert next(_crops((100, 10, 3), 1.0, aspect=2.0)) == [46, 0, 7, 10]


def test_flip_can_be_switched_off(tmp_path):
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8)[None, :, None], (16, 1, 3))
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for index in range(16):
            Image.fromarray(ramp).save(tmp_path / "train" / name / f"{index}.png")
    source = load_dataset(str(tmp_path))
    rising = {
        flip: [
            int(image[0, -1, 0]) > int(image[0, 0, 0])
            for images, _ in batches(source, flip=flip)
            for image in images
        ]
        for flip in (True, False)
    }
    assert all(rising[False])
    assert 0.2 < np.mean(rising[True]) < 0.8


def test_evaluation_gives_all_images_in_order(source):
    found = list(eval_batches(source, "test", 16, 4))
    assert [len(x) for x, _ in found] == [4, 4, 2]
    labels = np.concatenate([y for _, y in found])
    assert labels.tolist() == [0] * 5 + [1] * 5 and labels.dtype == np.int32
    assert found[0][0].dtype == tf.uint8 and found[0][0].shape == (4, 16, 16, 3)


def test_evaluation_crop(tmp_path):
    """A white square in the middle fills the picture when the crop is as small as the square."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 20:40] = 255
    (tmp_path / "test" / "a").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "test" / "a" / "0.png")
    paint_folder(tmp_path / "train", ["a", "b"], 1)
    source = load_dataset(str(tmp_path))

    def centre(**options):
        return next(iter(eval_batches(source, "test", 20, 1, **options)))[0].numpy()[0]

    assert (centre(crop_fraction=0.5) == 255).all()
    whole = centre(crop_fraction=1.0)
    assert whole[10, 10, 0] == 255 and whole[0, 0, 0] == whole[19, 19, 0] == 0
    assert source.crop_fraction == 0.875
    assert np.array_equal(centre(), centre(crop_fraction=0.875))


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [((10, 20), (5, 35), (0, 60)), ((20, 10), (0, 40), (20, 40)), ((8, 12), (0, 40), (0, 60))],
)
def test_evaluation_keeps_the_largest_part_of_the_batches_shape(size, rows, columns):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[slice(*rows), slice(*columns)] = 255
    assert (pipeline._centre(tf.constant(pixels), size, 1.0) == 255).numpy().all()


def test_training_batches_of_any_shape(source):
    images, _ = next(iter(train_batches(source, "train", (16, 32), 8, seed=1)))
    assert images.shape == (8, 16, 32, 3)


def test_images_of_the_right_size_are_left_alone(source):
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    assert np.array_equal(pipeline._centre(image, (16, 16), 1.0), image)


def _with_bad_images(folder, good, bad):
    """Folder with `good` images and `bad` files that are none, all for training."""
    paint_folder(folder / "train", ["a", "b"], good)
    for index in range(bad):
        (folder / "train" / "a" / f"bad{index}.jpg").write_bytes(b"\xff\xd8\xff broken")
    return load_dataset(str(folder))


@pytest.mark.parametrize("cache_bytes", [2**30, 0], ids=["in memory", "streamed"])
@pytest.mark.parametrize(("good", "bad"), [(8, 8), (4, 24)])
def test_bad_images_are_skipped_and_epochs_stay_whole(tmp_path, cache_bytes, good, bad):
    source = _with_bad_images(tmp_path, good, bad)
    found = batches(source, epochs=2, cache_bytes=cache_bytes)
    assert len(found) == 2 * ((2 * good + bad) // 8)
    assert sorted(source.bad_images.records) == sorted(f"train/a/bad{i}.jpg" for i in range(bad))


def test_bad_images_are_skipped_in_evaluation(tmp_path):
    source = _with_bad_images(tmp_path, 5, 3)
    assert sum(len(x) for x, _ in eval_batches(source, "train", 16, 4)) == 10
    assert "3 image(s) did not decode: train/a/bad" in source.bad_images.summary()


def test_bad_images_are_refused(tmp_path):
    source = _with_bad_images(tmp_path, 5, 3)
    for make in (
        lambda: batches(source, on_bad_image="error"),
        lambda: eval_batches(source, "train", 16, 4, on_bad_image="error"),
    ):
        with pytest.raises(UserError, match=r"3 image.* did not decode: train/a/bad"):
            make()


def test_only_bad_images(tmp_path):
    (tmp_path / "train" / "b").mkdir(parents=True)
    (tmp_path / "train" / "b" / "empty.jpg").touch()
    source = _with_bad_images(tmp_path, 0, 9)
    with pytest.raises(UserError, match="no image of split 'train' .* can be used"):
        batches(source)


def test_file_that_vanished(tmp_path):
    source = load_dataset(str(paint_folder(tmp_path / "train", ["a", "b"], 10).parent))
    (tmp_path / "train" / "a" / "003.png").unlink()
    assert len(batches(source)) == 2
    assert source.bad_images.records == ["train/a/003.png"]


def test_too_few_images(source):
    with pytest.raises(UserError, match="40 images, fewer than one batch of 64"):
        train_batches(source, "train", 16, 64, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_scale": 0.0}, r"min_scale .*Received: 0\.0"),
        ({"min_scale": 1.5}, r"min_scale .*Received: 1\.5"),
        ({"first_epoch": 3, "epochs": 2}, "first_epoch .*Received: 3 of 2"),
        ({"on_bad_image": "ask"}, "on_bad_image .*Received: 'ask'"),
    ],
)
def test_wrong_arguments(source, options, message):
    with pytest.raises(ValueError, match=message):
        batches(source, **options)


def test_wrong_arguments_of_both(source):
    for size in (0, (16, 0), (16, 16, 3)):
        with pytest.raises(ValueError, match="image_size .*Received: "):
            train_batches(source, "train", size, 8, seed=1)
    with pytest.raises(ValueError, match="batch_size .*Received: -1"):
        eval_batches(source, "test", 16, -1)
    with pytest.raises(ValueError, match=r"crop_fraction .*Received: 0\.0"):
        eval_batches(source, "test", 16, 4, crop_fraction=0.0)
    with pytest.raises(UserError, match="no split 'validation'; it has: test, train"):
        eval_batches(source, "validation", 16, 4)
