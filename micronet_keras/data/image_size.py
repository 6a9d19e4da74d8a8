"""How many pixels an encoded image would have, from its header: asked before it is decoded.

A file of some kilobytes may decode to gigabytes. The formats: ITU-T T.81 (JPEG),
https://www.w3.org/TR/png/#11IHDR, https://www.w3.org/Graphics/GIF/spec-gif89a.txt,
BITMAPINFOHEADER of Windows, https://developers.google.com/speed/webp/docs/riff_container.
"""

import struct

# 67 million, 200 MB as RGB; the largest cameras that people carry have less.
LARGEST_IMAGE = 1 << 26


def header_pixels(encoded: bytes) -> int:
    """Pixels of a JPEG, PNG, BMP, WebP or GIF (all frames); 0 for what is none, or damaged."""
    for magic, pixels in _FORMATS.items():
        if encoded.startswith(magic):
            try:
                return pixels(encoded)
            except (struct.error, IndexError):
                return 0
    return 0


def _jpeg(data: bytes) -> int:
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        marker = data[at + 1]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height * width
        if marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + max(struct.unpack_from(">H", data, at + 2)[0], 2)
    return 0


def _png(data: bytes) -> int:
    width, height = struct.unpack_from(">II", data, 16)
    return width * height


def _bmp(data: bytes) -> int:
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width * height)


def _webp(data: bytes) -> int:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    return width * height


def _gif(data: bytes) -> int:
    """The decoder unpacks every frame, also where only the first is wanted."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    screen, frames = width * height, 0
    at = 13 + _colours(flags)
    while at < len(data) and data[at] in b"\x21\x2c":
        if data[at] == 0x2C:
            width, height, flags = struct.unpack_from("<HHB", data, at + 5)
            frames += width * height
            at += 11 + _colours(flags)  # with the byte that says the size of LZW's codes
        else:
            at += 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return max(screen, frames)


def _colours(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


# Of the markers from 0xC0, DHT, JPG and DAC begin no frame.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x00, 0x01, 0xFF, *range(0xD0, 0xD9)))
_FORMATS = {b"\xff\xd8": _jpeg, b"\x89PNG": _png, b"BM": _bmp, b"RIFF": _webp, b"GIF8": _gif}
