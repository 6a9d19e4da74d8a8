"""Encoded images to RGB pixels, with those that do not decode found and named."""

import dataclasses

import numpy as np
import tensorflow as tf

from micronet_keras.data.image_size import LARGEST_IMAGE, header_pixels
from micronet_keras.data.with_pillow import exif_orientation, is_for_pillow, pillow_rgb
from micronet_mcu.errors import UserError

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif"
)  # fmt: skip


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
    """Decodes JPEG, PNG, WebP, BMP, GIF, TIFF or AVIF to uint8 RGB [height, width, 3], upright.

    A picture is turned as its EXIF orientation says, as every viewer does. Greyscale becomes RGB,
    an alpha channel is dropped, 16-bit samples become 8-bit, of an animation the first frame is
    taken. A damaged image gives one without pixels, [0, 0, 3], not an error; one that would have
    more than `LARGEST_IMAGE` pixels is not decoded and gives [0, 1, 3]. Works in graphs, too.
    """

    def decode(data):
        image = tf.io.decode_image(data, channels=3, expand_animations=False)
        return tf.ensure_shape(image, (None, None, 3))

    def attempted():
        # The only "try" that a graph has: a dataset of one element that loses it on an error.
        attempt = tf.data.Dataset.from_tensors(encoded).map(decode).ignore_errors()
        nothing = tf.data.Dataset.from_tensors(tf.zeros((0, 0, 3), tf.uint8))
        image = attempt.concatenate(nothing).take(1).get_single_element()
        return tf.cond(orientation == 1, lambda: image, lambda: _turned(image, orientation))

    def by_pillow():
        image = tf.numpy_function(lambda data: pillow_rgb(_bytes(data)), [encoded], tf.uint8)
        return tf.ensure_shape(image, (None, None, 3))

    header = tf.numpy_function(_header, [encoded], tf.int64)
    pixels, orientation, for_pillow = tf.unstack(tf.ensure_shape(header, (3,)))
    image = tf.case(
        [
            (pixels > LARGEST_IMAGE, lambda: tf.zeros((0, 1, 3), tf.uint8)),
            (for_pillow > 0, by_pillow),
        ],
        default=attempted,
    )
    return tf.ensure_shape(image, (None, None, 3))


def _header(data) -> np.ndarray:
    """int64 [3]: pixels, 0 where no header says them; EXIF orientation; whether Pillow decodes."""
    encoded = _bytes(data)
    # A damaged PNG's may not fit: never more than one too many.
    pixels = min(header_pixels(encoded), LARGEST_IMAGE + 1)
    for_pillow = is_for_pillow(encoded)
    turn = 1 if for_pillow or pixels > LARGEST_IMAGE else exif_orientation(encoded)
    return np.array([pixels, turn, for_pillow], np.int64)


def _bytes(data) -> bytes:
    # TensorFlow hands over bytes, or an array of them.
    return np.asarray(data, object).item()


def _turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """[h, w, 3] as EXIF's orientation, 2 to 8, says it is to be shown."""

    def is_one_of(*orientations):
        return tf.reduce_any(orientation == tf.constant(orientations, tf.int64))

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(is_one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(is_one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)


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


def decoded_with_stand_in(places: tf.data.Dataset, bad_images: BadImages) -> tf.data.Dataset:
    """(place, record with its image decoded) of (place, (record, its stand-in)), in order.

    A record whose image does not decode is noted, and its stand-in takes its place. Where that one
    is bad, too, the place stays empty: the image has no pixels.
    """

    def decode(place, pair):
        record, stand_in = pair
        image = decode_rgb(record["image"])

        def other():
            note = [record["record"], tf.shape(image)[1] > 0]
            with tf.control_dependencies([tf.numpy_function(bad_images.add, note, [])]):
                return {**stand_in, "image": decode_rgb(stand_in["image"])}

        return place, tf.cond(tf.size(image) > 0, lambda: {**record, "image": image}, other)

    return places.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


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
