"""Every kind of image file, whole and broken."""

import io
import struct
import zlib

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from PIL import Image, ImageOps

from micronet_keras.data import BadImages
from micronet_keras.data.decoding import decode_rgb, decoded, refuse_bad_images
from micronet_keras.data.image_size import header_pixels
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
        ("YCbCr", "JPEG"), ("RGB", "BMP"), ("P", "BMP"), ("RGB", "GIF"), ("RGB", "WEBP"),
        ("RGB", "TIFF"), ("CMYK", "TIFF"), ("RGB", "AVIF"),
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


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_samples(kind):
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 30), 80 * 257, np.uint16)).save(buffer, kind)
    image = decode_rgb(tf.constant(buffer.getvalue())).numpy()
    assert image.shape == (40, 30, 3) and (image == 80).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_first_frame_of_an_animation(kind):
    others = [Image.new("RGB", (30, 40), colour) for colour in ("red", "green")]
    image = decode_rgb(tf.constant(encoded(kind=kind, save_all=True, append_images=others)))
    assert image.shape == (40, 30, 3)
    assert np.abs(image.numpy()[20, 15].astype(int) - [80, 100, 200]).max() <= 25


def turned_photograph(orientation: int, kind: str = "JPEG") -> bytes:
    """A picture of four colours that viewers turn."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((48, 32, 3), np.uint8)
    pixels[:24, 16:], pixels[24:, :16], pixels[24:, 16:] = 80, 160, 240
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("orientation", "kind"),
    [
        *((number, "JPEG") for number in range(10)),
        (6, "PNG"),
        (6, "WEBP"),
        (6, "TIFF"),
        (8, "AVIF"),
    ],
)
def test_photographs_are_turned_as_viewers_turn_them(orientation, kind):
    file = turned_photograph(orientation, kind)
    shown = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))
    image = decode_rgb(tf.constant(file)).numpy()
    assert image.shape == shown.shape == ((32, 48, 3) if 5 <= orientation <= 8 else (48, 32, 3))
    assert np.abs(image.astype(int) - shown).max() <= 8


def test_damaged_exif_data_turn_nothing():
    file = turned_photograph(6).replace(b"Exif\0\0MM", b"Exif\0\0??").replace(b"II*", b"???")
    assert decode_rgb(tf.constant(file)).shape == (48, 32, 3)


BROKEN = {
    "truncated.jpg": encoded(kind="JPEG")[:-100],
    "truncated.png": encoded()[:-30],
    "truncated.gif": encoded(kind="GIF")[:-20],
    "empty.jpg": b"",
    "text.jpg": b"no picture at all",
    "truncated.tif": encoded(kind="TIFF")[:-1000],
    "truncated.avif": encoded(kind="AVIF")[:-30],
    "truncated.bmp": encoded("P", "BMP")[:-500],
    # Nobody knows which number is white.
    "floats.tif": encoded("F", "TIFF"),
    "photo.heic": b"\0\0\0\x18ftypheic" + bytes(100),
    "gigantic.png": encoded()[:16] + b"\x00\x00\xff\xff" * 2 + encoded()[24:],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_images_have_no_pixels(name):
    enormous = name == "gigantic.png"
    assert decode_rgb(tf.constant(BROKEN[name])).shape == (0, int(enormous), 3)


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
    assert ", ...; 1 of them, as gigantic.png, would have" in bad_images.summary()


def test_nothing_to_say_when_all_is_well():
    assert BadImages().summary() == ""


def test_refused():
    with pytest.raises(UserError, match="here: 1 image.* did not decode: empty.jpg"):
        refuse_bad_images(_records({"a.png": encoded(), "empty.jpg": b""}), "here")
    refuse_bad_images(_records({"a.png": encoded()}), "here")


def bomb(kind: str, side: int) -> bytes:
    """A small file whose header promises side x side pixels."""
    size = side.to_bytes(4, "big")
    if kind == "PNG":
        data = bytearray(encoded())
        data[16:24] = size + size
        data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    elif kind == "BMP":
        data = bytearray(encoded(kind="BMP"))
        data[18:26] = size[::-1] + size[::-1]
    elif kind == "JPEG":
        data = bytearray(encoded(kind="JPEG"))
        start = data.index(b"\xff\xc0")
        data[start + 5 : start + 9] = size[2:] * 2
    elif kind == "GIF":
        data = bytearray(encoded(kind="GIF"))
        data[6:10] = size[:1:-1] * 2
    elif kind == "TIFF":
        data = bytearray(encoded(kind="TIFF"))
        for tag in (256, 257):  # ImageWidth, ImageLength, as LONG
            start = data.index(struct.pack("<HHI", tag, 4, 1)) + 8
            data[start : start + 4] = size[::-1]
    else:
        data = bytearray(encoded(kind="WEBP", lossless=kind == "WEBP lossless"))
        if kind == "WEBP":
            data[26:30] = size[:1:-1] * 2
        else:
            data[21:25] = ((side - 1) | (side - 1) << 14).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("kind", "side"),
    [("PNG", 100_000), ("PNG", 2**32 - 1), ("BMP", 30_000), ("JPEG", 20_000), ("GIF", 9_000),
     ("WEBP", 16_000), ("WEBP lossless", 16_000), ("TIFF", 9_000), ("TIFF", 100_000)],
)  # fmt: skip
def test_enormous_images_are_not_decoded(kind, side):
    assert decode_rgb(tf.constant(bomb(kind, side))).shape == (0, 1, 3)
    assert decode_rgb(tf.constant(bomb(kind, 40))).shape != (0, 1, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("options", [{}, {"exif": b"x" * 60_000}, {"progressive": True}])
def test_headers_say_the_size(kind, options):
    assert header_pixels(encoded(kind=kind, **options)) == 1200


def test_every_frame_of_a_gif_counts():
    others = [Image.new("RGB", (30, 40), colour) for colour in ("red", "green")]
    assert header_pixels(encoded(kind="GIF")) == 1200
    assert header_pixels(encoded(kind="GIF", save_all=True, append_images=others)) == 3600


def test_enormous_images_are_named_with_the_limit():
    images = {"a": encoded(), "b": bomb("PNG", 10_000), "c": b"nonsense"}
    records = tf.data.Dataset.from_tensor_slices(
        {"record": list(images), "image": list(images.values())}
    )
    bad_images = BadImages()
    assert len(list(decoded(records, bad_images))) == 1
    assert bad_images.summary() == (
        "2 image(s) did not decode: b, c; 1 of them, as b, would have more than 67,108,864 pixels"
    )


@hypothesis.given(st.sampled_from(["JPEG", "PNG", "BMP", "GIF", "WEBP"]), st.binary(max_size=60))
@hypothesis.settings(max_examples=300)
def test_headers_of_any_kind_give_a_number(kind, noise):
    magic = encoded(kind=kind)[:16]
    assert header_pixels(magic[:4] + noise) >= 0
    assert header_pixels(magic + noise) >= 0
