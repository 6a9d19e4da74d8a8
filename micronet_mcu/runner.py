"""What every way of running an int8 model has in common: TFLM's interpreter, compiled C."""

import abc
from collections.abc import Sequence

import numpy as np

from micronet_mcu.errors import UserError
from micronet_mcu.tflite.model import Tensor


class Int8Runner(abc.ABC):
    """An int8 model that can be run on this machine, image by image.

    Attributes:
        input: the tensor of the image, [1, height, width, channels].
        outputs: the tensors of the answer, in the order of the model's outputs.
    """

    input: Tensor
    outputs: Sequence[Tensor]

    @property
    def output(self) -> Tensor:
        """The first of `outputs`."""
        return self.outputs[0]

    @abc.abstractmethod
    def invoke_all(self, image: np.ndarray) -> list[np.ndarray]:
        """Runs one image: int8 [1, height, width, channels] -> all int8 outputs."""

    def invoke(self, image: np.ndarray) -> np.ndarray:
        """Runs one image: int8 [1, height, width, channels] -> the (first) int8 output."""
        return self.invoke_all(image)[0]

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels 0 to 255 [n, height, width, channels] -> the (first) output, float32 [n, ...].

        Raises:
            UserError: the images are not of the size that the model takes.
        """
        raw = np.concatenate([self.invoke(image[None]) for image in self.quantize(pixels)])
        scale, zero_point = self.output.scale[0], self.output.zero_point[0]
        return ((raw.astype(np.int32) - zero_point) * scale).astype(np.float32)

    def quantize(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels 0 to 255 [n, height, width, channels] as the model takes them: int8, pixel - 128.

        Raises:
            UserError: the images are not of the size that the model takes.
        """
        expected = tuple(self.input.shape[1:])
        if pixels.shape[1:] != expected:
            raise UserError(
                f"the model takes images of {expected}, these are {tuple(pixels.shape[1:])}; "
                "choose that image size"
            )
        return (np.asarray(pixels, np.int16) - 128).astype(np.int8)
