"""The ten classes of the bundled dataset as signed distances with keypoints.

A figure lives in [-1, 1] x [-1, 1], x to the right and y down; it is turned, scaled and moved by
`micronet_keras.data.scenes`.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from micronet_keras.data import drawing
from micronet_keras.data.drawing import RandomStream, direction

CLASS_NAMES = (
    "circle", "square", "triangle", "star", "cross",
    "ring", "heart", "crescent", "arrow", "person",
)  # fmt: skip

KEYPOINT_COUNT = 17

# In the order in which they are stored; "left" is the person's own left, as in COCO.
KEYPOINT_NAMES = {
    "circle": ("centre",),
    "square": ("corner_1", "corner_2", "corner_3", "corner_4"),
    "triangle": ("corner_1", "corner_2", "corner_3"),
    "star": ("tip_1", "tip_2", "tip_3", "tip_4", "tip_5"),
    "cross": ("arm_1", "arm_2", "arm_3", "arm_4"),
    "ring": ("centre",),
    "heart": ("notch", "tip"),
    "crescent": ("horn_1", "horn_2"),
    "arrow": ("tip", "tail"),
    "person": (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Figure:
    """One drawn instance of a class, upright and centred.

    Attributes:
        distance: maps unit coordinates (x, y) to the signed distance in units.
        keypoints: (x, y) in units, in the order of `KEYPOINT_NAMES`.
        details: an optional second distance, drawn upon the figure in another colour.
        max_turn: the figure may be turned by up to this many degrees either way.
        cyclic: the keypoints look alike; once turned they are listed clockwise from the topmost.
    """

    distance: Callable[[np.ndarray, np.ndarray], np.ndarray]
    keypoints: list[tuple[float, float]]
    details: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    max_turn: int = 30
    cyclic: bool = False


def make_figure(class_name: str, stream: RandomStream) -> Figure:
    """Draws the proportions of one instance of a class.

    Raises:
        ValueError: `class_name` is not one of `CLASS_NAMES`.
    """
    if class_name not in _MAKERS:
        raise ValueError(f"unknown class, must be one of {CLASS_NAMES}. Received: {class_name!r}")
    return _MAKERS[class_name](stream)


def _box(x, y, half_width: float, half_height: float):
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _circle(stream: RandomStream) -> Figure:
    return Figure(lambda x, y: drawing.circle(x, y, 0.85), [(0.0, 0.0)])


def _ring(stream: RandomStream) -> Figure:
    half_width = stream.uniform(0.1, 0.18)
    radius = 0.9 - half_width
    return Figure(
        lambda x, y: np.abs(drawing.circle(x, y, radius)) - half_width,
        [(0.0, 0.0)],
    )


def _square(stream: RandomStream) -> Figure:
    half = 0.72
    corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
    # Turned further it would be hard to tell from a heart or a circle in coarse pixels.
    return Figure(lambda x, y: _box(x, y, half, half), corners, max_turn=20, cyclic=True)


def _triangle(stream: RandomStream) -> Figure:
    # Corners on the unit circle, up to 12 degrees off from the equilateral triangle.
    corners = [direction(angle + stream.integer(-12, 12)) for angle in (-90, 30, 150)]
    return Figure(lambda x, y: drawing.polygon(x, y, corners), corners, cyclic=True)


def _star(stream: RandomStream) -> Figure:
    inner = stream.uniform(0.36, 0.44)
    outline = []
    for tip in range(5):
        outline.append(direction(72 * tip - 90))
        cos, sin = direction(72 * tip - 54)
        outline.append((inner * cos, inner * sin))
    return Figure(lambda x, y: drawing.polygon(x, y, outline), outline[::2], cyclic=True)


def _cross(stream: RandomStream) -> Figure:
    long, short = 0.92, stream.uniform(0.16, 0.25)
    arms = [(0.0, -long), (long, 0.0), (0.0, long), (-long, 0.0)]
    return Figure(
        lambda x, y: np.minimum(_box(x, y, long, short), _box(x, y, short, long)),
        arms,
        cyclic=True,
    )


def _heart(stream: RandomStream) -> Figure:
    # A square on its corner with a half circle on each of its upper sides.
    half_diagonal, middle = 0.75, 0.1
    lobe = half_diagonal / 2
    radius = round(half_diagonal * 0.70710678, 6)

    def distance(x, y):
        square = (np.abs(x) + np.abs(y - middle) - half_diagonal) * 0.70710678
        left = drawing.circle(x, y, radius, (-lobe, middle - lobe))
        right = drawing.circle(x, y, radius, (lobe, middle - lobe))
        return np.minimum(square, np.minimum(left, right))

    return Figure(distance, [(0.0, middle - half_diagonal), (0.0, middle + half_diagonal)])


def _crescent(stream: RandomStream) -> Figure:
    outer, inner, shift = 0.92, stream.uniform(0.68, 0.78), stream.uniform(0.42, 0.52)
    horn_x = (shift * shift + outer * outer - inner * inner) / (2 * shift)
    horn_y = (outer * outer - horn_x * horn_x) ** 0.5
    return Figure(
        lambda x, y: np.maximum(
            drawing.circle(x, y, outer), -drawing.circle(x, y, inner, (shift, 0.0))
        ),
        [(horn_x, -horn_y), (horn_x, horn_y)],
    )


def _arrow(stream: RandomStream) -> Figure:
    shaft, head, neck = (
        stream.uniform(0.13, 0.2),
        stream.uniform(0.5, 0.65),
        stream.uniform(0.0, 0.25),
    )
    outline = [
        (0.98, 0.0), (neck, head), (neck, shaft), (-0.95, shaft),
        (-0.95, -shaft), (neck, -shaft), (neck, -head),
    ]  # fmt: skip
    return Figure(lambda x, y: drawing.polygon(x, y, outline), [(0.98, 0.0), (-0.95, 0.0)])


def _person(stream: RandomStream) -> Figure:
    """A stick figure that faces the viewer: its left side is at the right of the picture."""

    def limb(start, first, second, length):
        # Angles in degrees from straight down, outwards.
        cos, sin = direction(first)
        middle = (start[0] + length * sin, start[1] + length * cos)
        cos, sin = direction(second)
        return middle, (middle[0] + length * sin, middle[1] + length * cos)

    def mirrored(point):
        return (-point[0], point[1])

    shoulder, hip = (0.23, -0.42), (0.14, 0.2)
    arms, legs = [], []
    for _ in range(2):
        upper_arm = stream.integer(15, 120)
        arms.append(limb(shoulder, upper_arm, upper_arm + stream.integer(-45, 60), 0.3))
        thigh = stream.integer(4, 40)
        legs.append(limb(hip, thigh, thigh + stream.integer(-30, 10), 0.36))
    left_arm, right_arm = arms[0], tuple(mirrored(point) for point in arms[1])
    left_leg, right_leg = legs[0], tuple(mirrored(point) for point in legs[1])
    head, face = (0.0, -0.72), [(0.0, -0.68), (0.08, -0.77), (-0.08, -0.77)]
    torso = [mirrored(shoulder), shoulder, hip, mirrored(hip)]
    bones = [
        (shoulder, left_arm[0]), left_arm, (mirrored(shoulder), right_arm[0]), right_arm,
        (hip, left_leg[0]), left_leg, (mirrored(hip), right_leg[0]), right_leg,
        ((0.0, -0.72), (0.0, -0.4)),
    ]  # fmt: skip

    def distance(x, y):
        nearest = np.minimum(drawing.circle(x, y, 0.2, head), drawing.polygon(x, y, torso) - 0.06)
        for start, end in bones:
            nearest = np.minimum(nearest, drawing.capsule(x, y, start, end, 0.07))
        return nearest

    def details(x, y):
        nearest = drawing.circle(x, y, 0.03, face[0])
        for eye in face[1:]:
            nearest = np.minimum(nearest, drawing.circle(x, y, 0.045, eye))
        return nearest

    keypoints = [
        *face, (0.18, -0.73), (-0.18, -0.73), shoulder, mirrored(shoulder),
        left_arm[0], right_arm[0], left_arm[1], right_arm[1], hip, mirrored(hip),
        left_leg[0], right_leg[0], left_leg[1], right_leg[1],
    ]  # fmt: skip
    return Figure(distance, keypoints, details)


_MAKERS = {
    "circle": _circle, "square": _square, "triangle": _triangle, "star": _star, "cross": _cross,
    "ring": _ring, "heart": _heart, "crescent": _crescent, "arrow": _arrow, "person": _person,
}  # fmt: skip
