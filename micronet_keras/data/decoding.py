"""Encoded images to RGB pixels, with those that do not decode found and named."""

import dataclasses

import numpy as np
import tensorflow as tf

from micronet_keras.data.image_size import LARGEST_IMAGE, header_pixels
from micronet_mcu.errors import UserError

# What tf.io.decode_image reads.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")


@dataclasses.dataclass
class BadImages:
    """The images of a dataset that did not decode, by record, each counted once.

    Attributes:
        records: file names or TFDS record ids, in the order in which they were met.
        too_large: those of them that were not decoded because they would be enormous.
    """

    records: list[str] = dataclasses.field(default_factory=list)
    too_large: list[str] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)

    def add(self, record: bytes | str, too_large: bool = False) -> None:
        record = record.decode(errors="replace") if isinstance(record, bytes) else record
        if record not in self.records:
            self.records.append(record)
            if too_large:
                self.too_large.append(record)

    def summary(self) -> str:
        """One line for the user, empty when every image was fine."""
        if not self.records:
            return ""
        named = ", ".join(self.records[:5]) + (", ..." if len(self.records) > 5 else "")
        reason = ""
        if self.too_large:
            reason = (
                f"; {len(self.too_large)} of them, as {self.too_large[0]}, would have more than "
                f"{LARGEST_IMAGE:,} pixels"
            )
        return f"{len(self.records)} image(s) did not decode: {named}{reason}"


def decode_rgb(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes JPEG, PNG, WebP, BMP (24 or 32 bits) or GIF to uint8 RGB [height, width, 3].

    Greyscale becomes RGB, an alpha channel is dropped, 16-bit samples become 8-bit, of an animation
    the first frame is taken. A damaged image gives one without pixels, [0, 0, 3], not an error; one
    that would have more than `LARGEST_IMAGE` pixels is not decoded and gives [0, 1, 3]. Works in
    graphs, too.
    """

    def decode(data):
        # The decoder would take the palette indices of an 8-bit BMP for brightness.
        is_bmp = tf.strings.substr(data, 0, 2) == b"BM"
        bits = tf.strings.substr(data, 28, 1)
        tf.debugging.assert_equal(is_bmp & (bits != b"\x18") & (bits != b"\x20"), False)
        image = tf.io.decode_image(data, channels=3, expand_animations=False)
        return tf.ensure_shape(image, (None, None, 3))

    def attempted():
        # The only "try" that a graph has: a dataset of one element that loses it on an error.
        attempt = tf.data.Dataset.from_tensors(encoded).map(decode).ignore_errors()
        nothing = tf.data.Dataset.from_tensors(tf.zeros((0, 0, 3), tf.uint8))
        return attempt.concatenate(nothing).take(1).get_single_element()

    enormous = _pixels(encoded) > LARGEST_IMAGE
    image = tf.cond(enormous, lambda: tf.zeros((0, 1, 3), tf.uint8), attempted)
    return tf.ensure_shape(image, (None, None, 3))


def _pixels(encoded: tf.Tensor) -> tf.Tensor:
    """What the header says, int64; 0 where there is none, and never more than one too many."""
    return tf.reshape(tf.numpy_function(_header_pixels, [encoded], tf.int64), ())


def _header_pixels(encoded) -> np.int64:
    # TensorFlow hands over bytes, or an array of them.
    pixels = header_pixels(np.asarray(encoded, object).item())
    return np.int64(min(pixels, LARGEST_IMAGE + 1))  # A damaged PNG's may not fit.


def decoded(records: tf.data.Dataset, bad_images: BadImages) -> tf.data.Dataset:
    """Decodes the `image` of every record in parallel, in order; drops and notes the bad ones."""

    def decode(record):
        image = decode_rgb(record["image"])

        def note():
            tf.numpy_function(bad_images.add, [record["record"], tf.shape(image)[1] > 0], [])
            return False

        good = tf.cond(tf.size(image) > 0, lambda: True, note)
        with tf.control_dependencies([good]):
            return {**record, "image": tf.identity(image)}

    images = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return images.filter(lambda record: tf.size(record["image"]) > 0)


def refuse_bad_images(records: tf.data.Dataset, where: str) -> None:
    """Decodes everything once.

    Raises:
        UserError: naming the images that do not decode.
    """
    bad_images = BadImages()
    for _ in decoded(records, bad_images).map(lambda record: tf.shape(record["image"])):
        pass
    if bad_images:
        raise UserError(f"{where}: {bad_images.summary()}; mend or remove them, or skip bad images")
