"""What Pillow knows of image files and TensorFlow's decoder does not: orientation, more formats."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from micronet_keras.data.image_size import LARGEST_IMAGE

_ORIENTATION = 0x0112  # EXIF 2.3, table 4
# How the formats mark EXIF data: JPEG, PNG, WebP. Pillow turns the others itself.
_EXIF_MARKS = (b"Exif\0\0", b"eXIf", b"EXIF")
_TURNED_BY_TAG = ("JPEG", "MPO", "WEBP", "AVIF")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_AVIF = (b"ftypavif", b"ftypavis")
# Modes of 8 bits a sample, or fewer; what the samples of others mean is not known.
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB")
_MODES_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def exif_orientation(encoded: bytes) -> int:
    """How a JPEG, PNG or WebP is to be turned, 1 (not at all) to 8, as EXIF counts."""
    if not any(mark in encoded for mark in _EXIF_MARKS):
        return 1
    try:
        with Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG", "WEBP")) as image:
            found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Of any kind, for damaged data; the pixels may be fine all the same.
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def is_for_pillow(encoded: bytes) -> bool:
    """Whether TensorFlow's decoder would refuse or misread a file that Pillow reads.

    TIFF and AVIF, animated WebP, and BMP with a palette, whose indices would pass for brightness.
    """
    if encoded.startswith(b"BM"):
        return encoded[28:29] not in (b"\x18", b"\x20")
    if encoded.startswith(b"RIFF"):
        return encoded[12:16] == b"VP8X" and bool(encoded[20:21]) and bool(encoded[20] & 2)
    return encoded.startswith(_TIFF) or encoded[4:12] in _AVIF


def pillow_rgb(encoded: bytes) -> np.ndarray:
    """Decodes the first frame, upright, as `decoding.decode_rgb` does it: same result, same signs.

    Returns:
        uint8 [height, width, 3]; [0, 0, 3] for a damaged file or one of samples without a known
        range (floats, 32 bits); [0, 1, 3] for one of more than `LARGEST_IMAGE` pixels.
    """
    try:
        with Image.open(
            io.BytesIO(encoded), formats=("TIFF", "AVIF", "WEBP", "BMP", "DIB")
        ) as image:
            if image.width * image.height > LARGEST_IMAGE:
                return np.zeros((0, 1, 3), np.uint8)
            if image.mode in _MODES:
                return np.array(ImageOps.exif_transpose(image).convert("RGB"))
            if image.mode in _MODES_16_BIT:
                grey = np.array(ImageOps.exif_transpose(image)) >> 8
                return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    except Image.DecompressionBombError:
        return np.zeros((0, 1, 3), np.uint8)
    except Exception:  # Of any kind, for damaged data.
        pass
    return np.zeros((0, 0, 3), np.uint8)


def upright_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of an image file as it is shown, from its header; None if there is none."""
    try:
        with Image.open(path) as image:
            turned = image.format in _TURNED_BY_TAG and image.getexif().get(_ORIENTATION, 1) >= 5
            return (image.height, image.width) if turned else (image.width, image.height)
    except Exception:  # Of any kind, for damaged data; decoding it says more.
        return None
