"""One image of the bundled dataset: figures in clutter, a pure function of its random key."""

import dataclasses

import numpy as np

from micronet_keras.data import drawing
from micronet_keras.data.drawing import RandomStream
from micronet_keras.data.figures import CLASS_NAMES, KEYPOINT_COUNT, make_figure

_OCCLUDER = -2
_BACKGROUND = -1


@dataclasses.dataclass(frozen=True)
class SceneObject:
    """What is recorded about one figure.

    Attributes:
        label: index into `CLASS_NAMES`.
        box: (ymin, xmin, ymax, xmax) in pixels: the pixels at least half covered by the figure,
            occluded ones included, as half-open ranges.
        keypoints: float32 [17, 3] of (x, y, visibility) in pixels from the corner of the image;
            visibility as in COCO: 0 not labelled, 1 labelled but hidden, 2 visible.
        area: pixels at least half covered by the figure, occluded ones included.
    """

    label: int
    box: tuple[int, int, int, int]
    keypoints: np.ndarray
    area: int


def draw_scene(
    key: tuple[int, ...], size: int, labels: list[int] | None = None, max_objects: int = 1
) -> tuple[np.ndarray, list[SceneObject]]:
    """Draws one image.

    Args:
        key: whole numbers; the same key gives the same image on every machine.
        size: height and width in pixels.
        labels: the classes of the figures, the main one first; drawn at random (1 to `max_objects`
            of them) when None.
        max_objects: above 1 the figures are smaller, so that several fit.

    Returns:
        (image, objects): uint8 [size, size, 3] RGB, and the figures, the largest first.

    Example:

    >>> image, objects = draw_scene(key=(0, 7), size=96)
    >>> image.shape, CLASS_NAMES[objects[0].label]
    ((96, 96, 3), 'crescent')
    """
    stream = RandomStream(*key)
    if labels is None:
        count = stream.integer(1, max_objects)
        labels = [stream.integer(0, len(CLASS_NAMES) - 1) for _ in range(count)]
    canvas, base = _background(stream, size)
    owner = np.full((size, size), _BACKGROUND, np.int8)
    placed = _place(stream, size, len(labels), crowded=max_objects > 1)
    objects = [
        _draw_object(stream, canvas, owner, number, label, place, base)
        for number, (label, place) in enumerate(zip(labels, placed, strict=True))
    ]
    for x, y, radius in placed:
        if stream.chance(0.25):
            _draw_occluder(stream, canvas, owner, (x, y), radius)
    objects = [_with_visibility(item, owner, number) for number, item in enumerate(objects)]
    objects.sort(key=lambda item: -item.area)
    return _photograph(stream, canvas), objects


def _colour(stream: RandomStream, low: float = 15, high: float = 240) -> np.ndarray:
    return np.array([stream.uniform(low, high) for _ in range(3)], np.float32)


def _contrasting(stream: RandomStream, ground: np.ndarray, lighter: bool) -> np.ndarray:
    """A random colour that is clearly lighter or clearly darker than the ground."""
    for _ in range(100):
        colour = _colour(stream, 5, 255)
        difference = _luminance(colour) - _luminance(ground)
        if (difference if lighter else -difference) > 65:
            return colour
    return np.minimum(np.maximum(ground + (70 if lighter else -70), 0), 255).astype(np.float32)


def _luminance(colour: np.ndarray) -> float:
    red, green, blue = (float(value) for value in colour)
    return 0.3 * red + 0.6 * green + 0.1 * blue


def _grid(size: int):
    centres = np.arange(size, dtype=np.float32) + np.float32(0.5)
    return centres[None, :], centres[:, None]


def _background(stream: RandomStream, size: int):
    """Gradient, blotches, stripes, lines and soft blobs. Returns the canvas and its mean colour."""
    x, y = _grid(size)
    # Neither so dark nor so light that no figure could stand out either way.
    base = _colour(stream, 65, 190)
    canvas = np.empty((3, size, size), np.float32)
    canvas[:] = drawing.planes(base)
    cos, sin = drawing.direction(stream.integer(0, 359))
    slope = ((x - size / 2) * cos + (y - size / 2) * sin) * (1 / size)
    canvas += slope * drawing.planes((_colour(stream) - base) * 0.35)
    blotches = drawing.smooth_noise(stream, size, stream.integer(3, 12)) - 0.5
    canvas += blotches * drawing.planes((_colour(stream) - 128) * 0.25)
    if stream.chance(0.3):
        cos, sin = drawing.direction(stream.integer(0, 359))
        position = (x * cos + y * sin) / stream.uniform(5, 16)
        wave = np.abs(position - np.floor(position) - 0.5) - 0.25
        canvas += wave * drawing.planes((_colour(stream) - 128) * 0.25)
    scale = size / 96
    for _ in range(stream.integer(0, 7)):
        _draw_distractor(stream, canvas, base, scale)
    return canvas, base


def _draw_distractor(stream: RandomStream, canvas, base, scale: float) -> None:
    """A line, a dot or a soft blob: none of them is one of the classes."""
    size = canvas.shape[1]
    x, y = stream.uniform(0, size), stream.uniform(0, size)
    colour = base + (_colour(stream) - base) * stream.uniform(0.4, 0.9)
    kind = stream.integer(0, 2)
    if kind == 0:
        cos, sin = drawing.direction(stream.integer(0, 359))
        length = stream.uniform(8, 45) * scale
        end = (x + length * cos, y + length * sin)
        radius = stream.uniform(0.4, 1.6) * scale
        reach = length + 3 * scale
        window, px, py = _window(size, x, y, reach)
        cover = drawing.coverage(drawing.capsule(px, py, (x, y), end, radius))
    elif kind == 1:
        radius = stream.uniform(1, 2.5) * scale
        window, px, py = _window(size, x, y, radius + 2)
        cover = drawing.coverage(drawing.circle(px, py, radius, (x, y)))
    else:
        radius = stream.uniform(6, 16) * scale
        window, px, py = _window(size, x, y, radius)
        dx, dy = (px - x) / radius, (py - y) / (radius * stream.uniform(0.5, 1))
        fade = np.maximum(1 - dx * dx - dy * dy, 0)
        cover = fade * fade * 0.8
    drawing.paint(canvas[:, *window], cover, colour)


def _window(size: int, x: float, y: float, reach: float):
    """The part of the image around a point, as slices and as coordinates of its pixel centres."""
    left, right = max(int(x - reach), 0), min(int(x + reach) + 2, size)
    top, bottom = max(int(y - reach), 0), min(int(y + reach) + 2, size)
    columns = np.arange(left, right, dtype=np.float32) + np.float32(0.5)
    rows = np.arange(top, bottom, dtype=np.float32) + np.float32(0.5)
    return (slice(top, bottom), slice(left, right)), columns[None, :], rows[:, None]


def _place(stream: RandomStream, size: int, count: int, crowded: bool):
    """Centres and radii in pixels, wholly inside the image; the main figure is the largest."""
    smallest, largest = (0.15, 0.24) if crowded else (0.33, 0.47)
    radii = sorted((stream.uniform(smallest, largest) * size for _ in range(count)), reverse=True)
    placed: list[tuple[float, float, float]] = []
    for radius in radii:
        best = (np.inf, 0.0, 0.0)
        for _ in range(30):
            margin = radius + 2
            x, y = (stream.uniform(margin, size - margin) for _ in range(2))
            # How far the two circles overlap, in pixels: a little is wanted, not much.
            overlap = max(
                (r + radius - ((x - a) * (x - a) + (y - b) * (y - b)) ** 0.5 for a, b, r in placed),
                default=0.0,
            )
            if overlap < best[0]:
                best = (overlap, x, y)
            if overlap < 0.3 * radius:
                break
        placed.append((best[1], best[2], radius))
    return placed


def _draw_object(stream, canvas, owner, number: int, label: int, place, base) -> SceneObject:
    x, y, radius = place
    figure = make_figure(CLASS_NAMES[label], stream)
    turn = stream.integer(-figure.max_turn, figure.max_turn)
    stretch = stream.uniform(0.88, 1.0)
    window, px, py = _window(canvas.shape[1], x, y, radius * 1.15)
    # Into the figure's own upright units; squeezed across, which keeps the distances near enough.
    unit_x, unit_y = drawing.rotated((px - x) / radius, (py - y) / radius, -turn)
    unit_x = unit_x / stretch
    distance = figure.distance(unit_x, unit_y) * radius
    cover = drawing.coverage(distance)
    # Were figures always lighter, a linear classifier could tell more than half of them.
    colour = _contrasting(stream, base, lighter=stream.chance(0.5))
    fill = colour
    if stream.chance(0.4):
        shade = (unit_x if stream.chance(0.5) else unit_y) * stream.uniform(-40, 40)
        fill = drawing.planes(colour) + shade
    if stream.chance(0.3):
        # A contour of another colour around the figure.
        border = drawing.coverage(distance - stream.uniform(0.5, 1.5))
        drawing.paint(canvas[:, *window], border, _colour(stream))
    drawing.paint(canvas[:, *window], cover, fill)
    if figure.details is not None:
        marks = drawing.coverage(figure.details(unit_x, unit_y) * radius)
        drawing.paint(
            canvas[:, *window], marks, _contrasting(stream, colour, _luminance(colour) < 128)
        )
    mask = cover > 0.5
    owner[window][mask] = number
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = window[0].start, window[1].start
    box = (
        int(top + rows[0]), int(left + columns[0]),
        int(top + rows[-1] + 1), int(left + columns[-1] + 1),
    )  # fmt: skip
    points = [drawing.rotated(u * stretch * radius, v * radius, turn) for u, v in figure.keypoints]
    points = [(x + dx, y + dy) for dx, dy in points]
    if figure.cyclic:
        # The turn keeps the clockwise order; a square's corner says nothing of where it began.
        first = min(range(len(points)), key=lambda index: (points[index][1], points[index][0]))
        points = points[first:] + points[:first]
    keypoints = np.zeros((KEYPOINT_COUNT, 3), np.float32)
    for index, (px, py) in enumerate(points):
        # The thin end of a tip covers less than half a pixel and lies outside the box.
        keypoints[index] = min(max(px, box[1]), box[3]), min(max(py, box[0]), box[2]), 2
    return SceneObject(label, box, keypoints, int(mask.sum()))


def _draw_occluder(stream: RandomStream, canvas, owner, near, radius: float) -> None:
    """A bar across a figure, which hides a part of it."""
    size = canvas.shape[1]
    cos, sin = drawing.direction(stream.integer(0, 359))
    offset = stream.uniform(-0.6, 0.6) * radius
    x, y = near[0] - sin * offset, near[1] + cos * offset
    reach = radius * stream.uniform(0.6, 1.3)
    start, end = (x - cos * reach, y - sin * reach), (x + cos * reach, y + sin * reach)
    window, px, py = _window(size, x, y, reach * 1.2 + 2)
    thickness = radius * stream.uniform(0.05, 0.11)
    cover = drawing.coverage(drawing.capsule(px, py, start, end, thickness))
    drawing.paint(canvas[:, *window], cover, _colour(stream))
    owner[window][cover > 0.5] = _OCCLUDER


def _with_visibility(item: SceneObject, owner: np.ndarray, number: int) -> SceneObject:
    limit = owner.shape[0] - 1
    keypoints = item.keypoints.copy()
    for point in keypoints:
        row, column = min(int(point[1]), limit), min(int(point[0]), limit)
        if point[2] and owner[row, column] not in (_BACKGROUND, number):
            point[2] = 1
    return dataclasses.replace(item, keypoints=keypoints)


def _photograph(stream: RandomStream, canvas: np.ndarray) -> np.ndarray:
    """Light that falls off to one side, an unsharp lens, noise; then whole pixel values."""
    size = canvas.shape[1]
    x, y = _grid(size)
    cos, sin = drawing.direction(stream.integer(0, 359))
    slope = ((x - size / 2) * cos + (y - size / 2) * sin) * (1 / size)
    light = stream.uniform(0.75, 1.15) + stream.uniform(0, 0.5) * slope
    canvas = canvas * light
    if stream.chance(0.4):
        canvas = drawing.blur(canvas)
    noise = stream.uniform(2, 12)
    grain = stream.pixels(2, size, size)
    canvas += (grain[0] - grain[1]) * noise
    pixels = np.floor(np.minimum(np.maximum(canvas, 0), 255) + 0.5).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))
