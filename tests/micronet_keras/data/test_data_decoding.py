"""Every kind of image file, whole and broken."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from micronet_keras.data import BadImages
from micronet_keras.data.decoding import decode_rgb, decoded, refuse_bad_images
from micronet_mcu.errors import UserError


def encoded(mode="RGB", kind="PNG", **options) -> bytes:
    """A picture of one colour, (80, 100, 200) where the mode has colours."""
    buffer = io.BytesIO()
    Image.new("RGB", (30, 40), (80, 100, 200)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("RGB", "JPEG"), ("CMYK", "JPEG"),
        ("YCbCr", "JPEG"), ("RGB", "BMP"), ("RGB", "GIF"), ("RGB", "WEBP"),
    ],
)  # fmt: skip
def test_colour_images(mode, kind):
    image = decode_rgb(tf.constant(encoded(mode, kind))).numpy()
    assert image.shape == (40, 30, 3) and image.dtype == np.uint8
    # A palette has steps of 51.
    assert np.abs(image[20, 15].astype(int) - [80, 100, 200]).max() <= (25 if mode == "P" else 8)


@pytest.mark.parametrize(("mode", "kind"), [("L", "PNG"), ("LA", "PNG"), ("L", "JPEG")])
def test_greyscale_becomes_rgb(mode, kind):
    image = decode_rgb(tf.constant(encoded(mode, kind))).numpy()
    assert image.shape == (40, 30, 3)
    assert np.abs(image.astype(int) - 105).max() <= 2


def test_16_bit_png():
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 30), 80 * 257, np.uint16)).save(buffer, "PNG")
    image = decode_rgb(tf.constant(buffer.getvalue())).numpy()
    assert image.shape == (40, 30, 3) and (image == 80).all()


def test_first_frame_of_an_animation():
    others = [Image.new("RGB", (30, 40), colour) for colour in ("red", "green")]
    image = decode_rgb(tf.constant(encoded(kind="GIF", save_all=True, append_images=others)))
    assert image.shape == (40, 30, 3)
    assert np.abs(image.numpy()[20, 15].astype(int) - [80, 100, 200]).max() <= 25


BROKEN = {
    "truncated.jpg": encoded(kind="JPEG")[:-100],
    "truncated.png": encoded()[:-30],
    "truncated.gif": encoded(kind="GIF")[:-20],
    "empty.jpg": b"",
    "text.jpg": b"no picture at all",
    "tiff.jpg": encoded(kind="TIFF"),
    # Its palette would be taken for brightness.
    "palette.bmp": encoded("P", "BMP"),
    "gigantic.png": encoded()[:16] + b"\x00\x00\xff\xff" * 2 + encoded()[24:],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_images_have_no_pixels(name):
    assert decode_rgb(tf.constant(BROKEN[name])).shape == (0, 0, 3)


def _records(files: dict[str, bytes]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(
        {"image": list(files.values()), "record": list(files)}
    )


def test_bad_images_are_dropped_and_noted_once():
    files = {"good.png": encoded(), **BROKEN, "fine.jpg": encoded(kind="JPEG")}
    bad_images = BadImages()
    for _ in range(2):
        kept = [record["record"].numpy() for record in decoded(_records(files), bad_images)]
        assert kept == [b"good.png", b"fine.jpg"]
    assert sorted(bad_images.records) == sorted(BROKEN)
    assert len(bad_images) == len(BROKEN)
    assert bad_images.summary().startswith(f"{len(BROKEN)} image(s) did not decode: ")
    assert bad_images.summary().endswith(", ...")


def test_nothing_to_say_when_all_is_well():
    assert BadImages().summary() == ""


def test_refused():
    with pytest.raises(UserError, match="here: 1 image.* did not decode: empty.jpg"):
        refuse_bad_images(_records({"a.png": encoded(), "empty.jpg": b""}), "here")
    refuse_bad_images(_records({"a.png": encoded()}), "here")
