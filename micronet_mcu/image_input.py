"""What the input of a flatbuffer means, and images as it takes them: the one place for it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from micronet_mcu.errors import Doubt, UserError
from micronet_mcu.tflite.model import Tensor

# The names of the input of flatbuffers that were converted here; others have other names.
PIXELS, VALUES = "pixels", "values"

# Filters of enlargement and reduction overshoot black and white by so much.
_OVERSHOOT = 25.5
# How far outside of its calibrated range a value may be, in ranges: clipped without a word, since
# ranges are means over batches; clipped with a warning; refused as of another unit.
_USUAL, _FOREIGN = 0.1, 1.0


@dataclass(frozen=True)
class ImageInput:
    """The input of a flatbuffer, and what numbers in it stand for.

    A stored number q stands for ``scale * (q - zero_point)``. What an image may be:

    - An array of the tensor's own type (int8 almost always) is stored as it is.
    - Where the input is called "pixels", as `micronet_keras.convert` calls it when the model was
      lowered with pixels, numbers of any other type are pixels, 0 to 255: ``q = pixel - 128``.
    - Where it is called "values", numbers of any other type are what the Keras model takes:
      ``q = round(value / scale) + zero_point``.
    - In other people's files whole numbers are pixels and floats are values.

    Attributes:
        tensor: of the flatbuffer.
    """

    tensor: Tensor

    def takes_pixels(self, dtype: np.dtype | type = np.uint8) -> bool:
        """Whether numbers of this type are pixels."""
        whole = np.dtype(dtype).kind in "bui"
        return self.tensor.name == PIXELS or (whole and self.tensor.name != VALUES)

    def stored(self, images: np.ndarray) -> np.ndarray:
        """Images as the tensor holds them.

        Args:
            images: numbers [n, height, width, channels], see the class. A value just outside of the
                range is clipped.

        Raises:
            UserError: they are not finite, or so far outside of the range that they are something
                else than what the model takes.

        Example:

        >>> model = micronet_mcu.read_model("model.tflite")
        >>> ImageInput(model.tensors[model.inputs[0]]).stored(images).min()
        np.int8(-128)
        """
        dtype = self.tensor.dtype
        if images.dtype == dtype or not images.size:
            return images
        low, high = float(images.min()), float(images.max())
        if not np.isfinite(low + high):
            raise UserError("the images hold NaN or infinity")
        if dtype.kind == "f":
            return images.astype(dtype)
        ends = np.iinfo(dtype)
        if self.takes_pixels(images.dtype):
            check_pixels(images)
            scale, zero_point = 1.0, int(ends.min)
        else:
            scale, zero_point = self._quantization()
            self._check_range(low, high)
        stored = np.rint(images / np.float64(scale)) + zero_point
        return np.clip(stored, ends.min, ends.max).astype(dtype)

    def range(self) -> tuple[float, float]:
        """The real values of the smallest and of the largest stored number."""
        ends, (scale, zero_point) = np.iinfo(self.tensor.dtype), self._quantization()
        return scale * (ends.min - zero_point), scale * (ends.max - zero_point)

    def describe(self) -> str:
        """One line for the user: what an image is, and how it is stored.

        Example:

        >>> model = micronet_mcu.read_model("model.tflite")
        >>> ImageInput(model.tensors[model.inputs[0]]).describe()
        '32 x 32 x 3 pixels, 0 to 255, stored as pixel - 128'
        """
        size = " x ".join(map(str, self.tensor.shape[1:]))
        if self.tensor.dtype.kind == "f":
            return f"{size} values, stored as they are"
        if self.takes_pixels():
            shift = -int(np.iinfo(self.tensor.dtype).min)
            return f"{size} pixels, 0 to 255, stored as pixel{f' - {shift}' if shift else ''}"
        low, high = self.range()
        scale, zero_point = self._quantization()
        sign = "-" if zero_point < 0 else "+"
        return (
            f"{size} values, {low:.4g} to {high:.4g}, stored as "
            f"value / {scale:.6g} {sign} {abs(zero_point)}"
        )

    def _quantization(self) -> tuple[float, int]:
        if len(self.tensor.scale) != 1:
            raise UserError(f"the input {self.tensor.name!r} has no scale; give what it stores")
        return float(self.tensor.scale[0]), int(self.tensor.zero_point[0])

    def _check_range(self, low: float, high: float) -> None:
        lowest, highest = self.range()
        excess = max(lowest - low, high - highest) / (highest - lowest)
        if excess <= _USUAL:
            return
        text = f"the images go from {low:.4g} to {high:.4g}, the model's input from {lowest:.4g}"
        text += f" to {highest:.4g}"
        if excess > _FOREIGN:
            raise UserError(f"{text}; give what the Keras model takes, in the same unit")
        warnings.warn(Doubt(f"{text}: clipped; calibrate with images like these"), stacklevel=4)


def check_pixels(images: np.ndarray) -> None:
    """Raises UserError where numbers cannot be pixels, 0 to 255; whole ones can, however dark."""
    if not images.size:
        return
    low, high = float(images.min()), float(images.max())
    whole = low >= 0 and high <= 255 and bool((images == np.rint(images)).all())
    doubt = "" if whole else pixel_doubt(low, high)
    if doubt:
        raise UserError(f"the images are no pixels: {doubt}")


def pixel_doubt(low: float, high: float) -> str:
    """Why numbers from `low` to `high` can hardly be pixels, 0 to 255; empty where they can.

    Example:

    >>> pixel_doubt(0.0, 1.0)
    'they are at most 1, as of images that were divided by 255; give pixels from 0 to 255'
    """
    if low < 0 and high <= 3 or low < -_OVERSHOOT:
        what = f"they go down to {low:.3g}, as of preprocess_input or of pixel - 128"
    elif high <= 3:
        what = f"they are at most {high:.3g}, as of images that were divided by 255"
    elif high > 255 + _OVERSHOOT:
        what = f"they go up to {high:.4g}"
    else:
        return ""
    return f"{what}; give pixels from 0 to 255"
