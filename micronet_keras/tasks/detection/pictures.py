"""Pictures of what a detector finds, beside the ground truth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from micronet_keras.tasks.detection.ap import GroundTruth
from micronet_mcu.decode.detection import Detections
from micronet_mcu.files import replacing

_COLOURS = (
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4",
    "#008080", "#f032e6", "#9a6324", "#808000", "#000075",
)  # fmt: skip
_GAP = 6
_TITLE, _HEAD, _FONT = 28, 22, 14
_SMALLEST_SIDE = 256


def plot_detections(
    path: str | os.PathLike,
    title: str,
    *,
    images: np.ndarray,
    truth: Sequence[GroundTruth],
    found: Sequence[Detections],
    class_names: Sequence[str],
    columns: int = 2,
    min_score: float = 0.5,
) -> None:
    """Draws pairs of pictures into a PNG file: left the ground truth, right what was found.

    Args:
        path: of the PNG; replaced when it exists.
        title: above the pictures, which are pairs with "truth" and "found" above each.
        images: uint8 [n, height, width, 3].
        truth, found: boxes in pixels of these images (float form).
        class_names: of the labels.
        columns: pairs in a row.
        min_score: detections below it are not drawn.

    Raises:
        UserError: the file cannot be written.
    """
    if not len(images) == len(truth) == len(found) or not len(images):
        raise ValueError(
            "At least one image, and the objects and detections of each, are needed. "
            f"Received: {len(images)}, {len(truth)}, {len(found)}"
        )
    zoom = -(-_SMALLEST_SIDE // min(images.shape[1:3]))
    height, width = (side * zoom + _GAP for side in images.shape[1:3])
    rows, columns = -(-len(images) // columns), min(columns, len(images))
    size = (columns * (2 * width + _GAP), _TITLE + rows * (height + _HEAD))
    sheet = Image.new("RGB", size, "white")
    font = ImageFont.load_default(_FONT)
    write = partial(ImageDraw.Draw(sheet).text, font=font, fill="black")
    write((4, 4), title)
    for i, (image, objects, detections) in enumerate(zip(images, truth, found, strict=True)):
        texts = [class_names[label] for label in objects.labels]
        left = _draw(image, zoom, objects.boxes, objects.labels, texts)
        # The best last: what is drawn later covers what is drawn before.
        kept = np.flatnonzero(detections.scores >= min_score)[::-1]
        texts = [
            f"{class_names[label]} {score:.2f}"
            for label, score in zip(detections.labels[kept], detections.scores[kept], strict=True)
        ]
        right = _draw(image, zoom, detections.boxes[kept], detections.labels[kept], texts)
        x, y = i % columns * (2 * width + _GAP), _TITLE + i // columns * (height + _HEAD)
        for name, picture, at in (("truth", left, x), ("found", right, x + width)):
            write((at + 2, y + 2), name)
            sheet.paste(picture, (at, y + _HEAD))
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG")


def _draw(image: np.ndarray, zoom: int, boxes, labels, texts) -> Image.Image:
    height, width = image.shape[:2]
    picture = Image.fromarray(image).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    for box, label, text in zip(boxes, labels, texts, strict=True):
        colour = _COLOURS[label % len(_COLOURS)]
        top, left, bottom, right = (round(float(edge) * zoom) for edge in box)
        right, bottom = max(right - 1, left), max(bottom - 1, top)
        draw.rectangle((left, top, right, bottom), outline=colour, width=2)
        # Inside of the picture, also where the box begins at its right or lower edge.
        font = ImageFont.load_default(_FONT)
        length, high = map(round, draw.textbbox((0, 0), text, font=font)[2:])
        left = max(min(left, picture.width - length - 4), 0)
        top = max(min(top, picture.height - high - 4), 0)
        where = draw.textbbox((left + 2, top + 1), text, font=font)
        draw.rectangle((where[0] - 1, where[1] - 1, where[2] + 1, where[3] + 1), fill=colour)
        draw.text((left + 2, top + 1), text, font=font, fill="white")
    return picture
