"""Augmentation of images together with their boxes; every result is a pure function of its key."""

from __future__ import annotations

import tensorflow as tf

# ImageNet's mean: what lies beyond the image looks neither dark nor bright.
FILL = (124, 116, 104)

_Key = tuple[tf.Tensor, tf.Tensor]
Size = tuple[int, int]


def random_window(
    shape: tf.Tensor, key: _Key, smallest: float, largest: float, output: Size
) -> tf.Tensor:
    """A window to be cut out: crop and scale jitter in one.

    The image is fitted into a frame of the output's shape; a window that sees `side` of that frame,
    and `stretch` times as much of its width as of its height, is placed at random so that image and
    window cover each other as far as their sizes allow.

    Args:
        shape: int32 [3], height, width, channels of the image.
        key: two int64 numbers.
        smallest, largest: range of `side`. Below 1 objects grow and some leave the image, above 1
            they shrink.
        output: (height, width) of what the window is scaled to.

    Returns:
        float32 [4]: top, left, height, width in pixels of the image; may reach beyond it.
    """
    size = tf.cast(shape[:2], tf.float32)
    random = tf.random.stateless_uniform((4,), key)
    side = smallest + (largest - smallest) * random[0]
    stretch = tf.exp(tf.math.log(1.25) * (random[1] - 0.5))
    window = _frame(size, output) * side * tf.stack([1 / stretch, stretch])
    # From "flush at the start" to "flush at the end", whichever of the two is the larger.
    start = (size - window) * random[2:]
    return tf.concat([start, window], axis=0)


def whole_window(shape: tf.Tensor, output: Size) -> tf.Tensor:
    """The window of evaluation: the whole image, padded at its end to the output's shape."""
    return tf.concat([[0.0, 0.0], _frame(tf.cast(shape[:2], tf.float32), output)], axis=0)


def _frame(size: tf.Tensor, output: Size) -> tf.Tensor:
    """The smallest (height, width) of the output's shape that an image fits into."""
    height, width = output
    return tf.maximum(size, size[::-1] * tf.constant([height / width, width / height], tf.float32))


def cut(image: tf.Tensor, boxes: tf.Tensor, window: tf.Tensor, output: Size):
    """Cuts a window out of an image and scales it.

    Args:
        image: uint8 [height, width, 3].
        boxes: float32 [n, 4], relative to the image.
        window: see `random_window`.
        output: (height, width) of the result.

    Returns:
        (uint8 [height, width, 3], float32 [n, 4] in pixels of it, not clipped). What lies beyond
        the image is `FILL`.
    """
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    start, length = window[:2], window[2:]
    size = tf.constant(output, tf.float32)
    scale = size / length
    # The part of the image inside the window, in whole pixels of the source and of the result.
    first = tf.floor(tf.maximum(start, 0.0))
    last = tf.maximum(tf.math.ceil(tf.minimum(start + length, shape)), first + 1)
    target = tf.clip_by_value(tf.round((first - start) * scale), 0.0, size - 1.0)
    end = tf.clip_by_value(tf.round((last - start) * scale), target + 1, size)
    (y0, x0), (y1, x1) = (tf.unstack(tf.cast(point, tf.int32)) for point in (first, last))
    (top, left), (bottom, right) = (tf.unstack(tf.cast(p, tf.int32)) for p in (target, end))
    part = tf.image.resize(image[y0:y1, x0:x1], (bottom - top, right - left), antialias=True)
    part = tf.cast(tf.clip_by_value(tf.round(part), 0, 255), tf.uint8)
    fill = tf.constant(FILL, tf.uint8)
    part = tf.image.pad_to_bounding_box(part - fill, top, left, *output) + fill
    # Boxes follow the pixels exactly, the rounding to whole pixels included.
    ratio = (end - target) / (last - first)
    corners = tf.reshape(boxes, (-1, 2, 2)) * shape
    moved = (corners - first) * ratio + target
    return tf.ensure_shape(part, (*output, 3)), tf.reshape(moved, (-1, 4))


def visible(boxes: tf.Tensor, output: Size, share: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes [n, 4] clipped to (height, width), and which of them keep `share` of their area."""
    clipped = tf.clip_by_value(boxes, 0.0, tf.constant((*output, *output), tf.float32))
    kept, whole = (
        tf.reduce_prod(tf.maximum(b[:, 2:] - b[:, :2], 0.0), axis=1) for b in (clipped, boxes)
    )
    return clipped, (kept >= share * whole) & (kept > 1.0)


def flip(image: tf.Tensor, boxes: tf.Tensor, key: _Key):
    """Mirrors image [h, w, 3] and boxes [n, 4] left to right with probability 1/2."""
    width = float(image.shape[1])
    right, left = width - boxes[:, 1], width - boxes[:, 3]
    mirrored = tf.stack([boxes[:, 0], left, boxes[:, 2], right], axis=1)
    yes = tf.random.stateless_uniform((), key) < 0.5
    return tf.cond(yes, lambda: (image[:, ::-1], mirrored), lambda: (image, boxes))


def mosaic(images: tf.Tensor, objects: tf.Tensor, key: _Key, share: float, probability: float):
    """Puts corners of four images of a batch together, for some of the images.

    Image i of the result has the top left corner of image i, the top right one of image i + 1, the
    bottom left of i + 2 and the bottom right of i + 3 (around the end of the batch), which meet at
    a random point in the middle half. An object stays where `share` of its area is left.

    Args:
        images: uint8 [batch, h, w, 3].
        objects: float32 [batch, n, 5] of boxes and class, -1 for padding.
        key: two int64 numbers.
        share: see `visible`.
        probability: of an image to be made so; the others stay.

    Returns:
        uint8 [batch, h, w, 3] and float32 [batch, 4 * n, 5].
    """
    batch, size = tf.shape(images)[0], tf.constant(tuple(images.shape[1:3]), tf.float32)
    random = tf.random.stateless_uniform((batch, 3), key)
    middle = tf.round((0.25 + 0.5 * random[:, :2]) * size)
    chosen = random[:, 2] < probability
    # Who is not chosen keeps the whole of the first image.
    middle = tf.where(chosen[:, None], middle, size)
    lower, right = (tf.range(size[i])[None] >= middle[:, i : i + 1] for i in (0, 1))
    result, found = tf.zeros_like(images), []
    for i in range(4):
        down, across = i // 2 == 1, i % 2 == 1
        rows, columns = lower == down, right == across
        inside = (rows[:, :, None] & columns[:, None, :])[..., None]
        result = tf.where(inside, tf.roll(images, -i, axis=0), result)
        start = tf.stack([middle[:, j] * float(s) for j, s in enumerate((down, across))], axis=1)
        end = tf.stack(
            [tf.where(s, size[j], middle[:, j]) for j, s in enumerate((down, across))], axis=1
        )
        found.append(_inside(tf.roll(objects, -i, axis=0), start, end, share))
    return result, tf.concat(found, axis=1)


def _inside(objects, start, end, share: float):
    corners = tf.reshape(objects[..., :4], (tf.shape(objects)[0], -1, 2, 2))
    clipped = tf.clip_by_value(corners, start[:, None, None], end[:, None, None])
    kept, whole = (tf.reduce_prod(c[:, :, 1] - c[:, :, 0], axis=-1) for c in (clipped, corners))
    label = tf.where((kept >= share * whole) & (kept > 1.0), objects[..., 4], -1.0)
    boxes = tf.reshape(clipped, (tf.shape(objects)[0], -1, 4))
    return tf.concat([boxes, label[..., None]], axis=-1)
