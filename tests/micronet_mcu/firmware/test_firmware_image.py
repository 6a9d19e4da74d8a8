"""The firmware's image conversion, under sanitizers, against the same rules in numpy."""

import struct
import subprocess

import firmware_build
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

RGB888, RGB565_BIG, RGB565_LITTLE, GREY = range(4)
BYTES = {RGB888: 3, RGB565_BIG: 2, RGB565_LITTLE: 2, GREY: 1}
OK, IMAGE_SIZE, CROP, IMAGE_DATA = 0, 11, 12, 13


@pytest.fixture(scope="module")
def converter(tmp_path_factory):
    source = firmware_build.TFLM / "micronet"
    program = firmware_build.build(
        tmp_path_factory.mktemp("image") / "image_main",
        [firmware_build.STUBS / "image_main.cc", source / "image.cc", source / "status.cc"],
        [source],
    )
    process = subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    yield process
    process.stdin.close()
    assert process.wait(10) == 0, "a sanitizer complained"


def convert(converter, data, form, width, height, out, channels=3, row_bytes=0, crop=(0, 0, 0, 0)):
    """(status code, found, expected, int8 [h, w, channels] or None, the status in words)"""
    request = struct.pack("<12i", form, width, height, row_bytes, *crop, len(data), *out, channels)
    converter.stdin.write(request + bytes(data))
    converter.stdin.flush()
    code, found, expected = struct.unpack("<3i", converter.stdout.read(12))
    pixels = None
    if code == OK:
        size = out[0] * out[1] * channels
        pixels = np.frombuffer(converter.stdout.read(size), np.int8).reshape(out[1], out[0], -1)
    return code, found, expected, pixels, converter.stderr.readline().decode().strip()


def unpack(data, form, width, height):
    """uint8 [h, w, 3] of a picture without gaps between rows."""
    raw = np.frombuffer(data, np.uint8).reshape(height, width, BYTES[form])
    if form in (RGB888, GREY):
        return np.broadcast_to(raw, (height, width, 3))
    value = raw.astype(np.uint32)
    first, second = (0, 1) if form == RGB565_BIG else (1, 0)
    value = value[..., first] << 8 | value[..., second]
    r, g, b = value >> 11, value >> 5 & 63, value & 31
    return np.stack([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2], -1).astype(np.uint8)


def weights(crop, size):
    """[size, crop]: the share of every source pixel in 1/64 pixels; and the sum of a row."""
    length = crop * 64 // size if crop > size else 64
    matrix = np.zeros((size, crop), np.int64)
    for i in range(size):
        begin = ((2 * i + 1) * crop * 64 // size - length) // 2
        for part in range(begin, begin + length):
            matrix[i, min(max(part // 64, 0), crop - 1)] += 1
    return matrix, length


def expected_pixels(rgb, out, channels, crop):
    left, top, width, height = crop
    part = rgb[top : top + height, left : left + width].astype(np.int64)
    (down, length), (across, breadth) = weights(height, out[1]), weights(width, out[0])
    total = length * breadth
    values = (np.einsum("ya,xb,abc->yxc", down, across, part) + total // 2) // total
    if channels == 1:
        values = ((values @ [77, 150, 29] + 128) // 256)[..., None]
    return (values - 128).astype(np.int8)


@settings(max_examples=60)
@given(
    form=st.sampled_from(list(BYTES)),
    width=st.integers(1, 23),
    height=st.integers(1, 23),
    out=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    channels=st.sampled_from([1, 3]),
    gap=st.integers(0, 5),
    data=st.data(),
)
def test_any_picture_any_size(converter, form, width, height, out, channels, gap, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    picture = rng.integers(0, 256, (height, width * BYTES[form]), np.uint8)
    padded = np.pad(picture, ((0, 0), (0, gap)), constant_values=77)
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    crop = (left, top, data.draw(st.integers(1, width - left)),
            data.draw(st.integers(1, height - top)))  # fmt: skip
    # The last row's gap need not exist.
    memory = padded.tobytes()[: len(padded.tobytes()) - gap]
    code, _, _, pixels, words = convert(
        converter, memory, form, width, height, out, channels, width * BYTES[form] + gap, crop
    )
    assert (code, words) == (OK, "ok")
    rgb = unpack(picture.tobytes(), form, width, height)
    wanted = expected_pixels(rgb, out, channels, crop)
    np.testing.assert_array_equal(pixels, wanted)


def test_no_resize_is_pixel_minus_128(converter):
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    *_, pixels, _ = convert(converter, picture.tobytes(), RGB888, 4, 4, (4, 4))
    np.testing.assert_array_equal(pixels, (picture.astype(int) - 128).astype(np.int8))


@pytest.mark.parametrize(
    ("size", "out", "rows", "columns"),
    [
        ((8, 4), (2, 2), (0, 4), (2, 6)),
        ((8, 4), (1, 2), (0, 4), (3, 5)),
        ((8, 8), (4, 2), (2, 6), (0, 8)),
        ((8, 1), (1, 8), (0, 1), (3, 4)),
    ],
)
def test_no_crop_means_the_largest_centred_part_of_the_inputs_shape(
    converter, size, out, rows, columns
):
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[slice(*rows), slice(*columns)] = 200
    *_, pixels, _ = convert(converter, picture.tobytes(), RGB888, width, height, out)
    assert (pixels == 72).all()


def test_full_colours_of_rgb565_become_full_colours(converter):
    memory = b"\xff\xff\x00\x00"
    for form in (RGB565_BIG, RGB565_LITTLE):
        *_, pixels, _ = convert(converter, memory, form, 2, 1, (2, 1), crop=(0, 0, 2, 1))
        np.testing.assert_array_equal(pixels, [[[127] * 3, [-128] * 3]])


def test_growing_interpolates(converter):
    memory = bytes([0, 128])
    *_, pixels, _ = convert(converter, memory, GREY, 2, 1, (8, 1), 1, crop=(0, 0, 2, 1))
    assert np.all(np.diff(pixels[0, :, 0].astype(int)) >= 0)
    wanted = [0, 0, 16, 48, 80, 112, 128, 128]
    np.testing.assert_array_equal(pixels[0, :, 0].astype(int) + 128, wanted)


@pytest.mark.parametrize(
    ("width", "height", "out", "row_bytes", "crop", "status"),
    [
        (0, 4, (4, 4), 0, (0, 0, 0, 0), (IMAGE_SIZE, 0, 4096)),
        (4, 5000, (4, 4), 0, (0, 0, 0, 0), (IMAGE_SIZE, 5000, 4096)),
        (2**31 - 1, 4, (4, 4), 0, (0, 0, 0, 0), (IMAGE_SIZE, 2**31 - 1, 4096)),
        (4, 4, (4, 0), 0, (0, 0, 0, 0), (IMAGE_SIZE, 0, 4096)),
        (4, 4, (4, 4), 11, (0, 0, 0, 0), (IMAGE_DATA, 11, 12)),
        (4, 4, (4, 4), -1, (0, 0, 0, 0), (IMAGE_DATA, -1, 12)),
        (4, 4, (4, 4), 0, (1, 0, 4, 4), (CROP, 5, 4)),
        (4, 4, (4, 4), 0, (0, 2, 4, 3), (CROP, 5, 4)),
        (4, 4, (4, 4), 0, (-1, 0, 4, 4), (CROP, 3, 4)),
        (4, 4, (4, 4), 0, (2**31 - 1, 0, 2**31 - 1, 4), (CROP, 2**31 - 1, 4)),
        (4, 4, (4, 4), 0, (0, -(2**31), 4, -(2**31)), (CROP, -(2**31), 4)),
        (4096, 4096, (1, 1), 0, (0, 0, 0, 0), (IMAGE_SIZE, 4096, 62)),
    ],
)
def test_impossible_requests_say_what_is_wrong(
    converter, width, height, out, row_bytes, crop, status
):
    code, found, expected, _, words = convert(
        converter, b"", RGB888, width, height, out, 3, row_bytes, crop
    )
    assert (code, found, expected) == status
    assert str(found) in words and str(expected) in words
