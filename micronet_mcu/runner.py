"""What every way of running an int8 model has in common: TFLM's interpreter, compiled C."""

import abc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from micronet_mcu.batches import batches
from micronet_mcu.errors import UserError
from micronet_mcu.image_input import ImageInput
from micronet_mcu.shown import Shown, size_text, some_of
from micronet_mcu.tflite.model import Model, Tensor


class Int8Runner(Shown, abc.ABC):
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

    def facts(self) -> list[tuple[str, str]]:
        outputs = [size_text(tensor.shape[1:]) for tensor in self.outputs]
        return [("input", ImageInput(self.input).describe()), ("outputs", some_of(outputs))]

    @abc.abstractmethod
    def invoke_all(self, image: np.ndarray) -> list[np.ndarray]:
        """Runs one image: int8 [1, height, width, channels] -> all int8 outputs."""

    def invoke(self, image: np.ndarray) -> np.ndarray:
        """Runs one image: int8 [1, height, width, channels] -> the (first) int8 output."""
        return self.invoke_all(image)[0]

    def predict(self, images: Any) -> np.ndarray:
        """Images -> the (first) output, float32 [n, ...].

        Args:
            images: in any form that `micronet_mcu.batches.batches` takes: an array [n, height,
                width, channels], batches, a tf.data.Dataset. What numbers mean is said by
                `micronet_mcu.image_input.ImageInput`: uint8 are pixels, and so are floats where the
                model was lowered with pixels; else floats are what the Keras model takes; int8 is
                what is stored.

        Raises:
            UserError: there are no images, they are not of the size that the model takes, or they
                cannot be what it takes.
        """
        raw = [self.invoke(image[None]) for batch in self._stored(images) for image in batch]
        return _real(np.concatenate(raw), self.output)

    def quantize(self, images: Any) -> np.ndarray:
        """Images, as of `predict`, as the model's input stores them: int8 in most models.

        Raises:
            UserError: as `predict`.
        """
        return np.concatenate(list(self._stored(images)))

    def _stored(self, images: Any) -> Iterator[np.ndarray]:
        image = ImageInput(self.input)
        return (image.stored(batch) for batch in batches(images, tuple(self.input.shape[1:])))


def image_of(model: Model) -> Tensor:
    """The tensor of the one image that a model takes.

    Raises:
        UserError: it takes several inputs.
    """
    if len(model.inputs) != 1:
        names = ", ".join(repr(model.tensors[index].name) for index in model.inputs)
        raise UserError(
            f"{model.name} takes {len(model.inputs)} inputs ({names}); give a model of one image"
        )
    return model.tensors[model.inputs[0]]


def _real(raw: np.ndarray, tensor: Tensor) -> np.ndarray:
    """What stored numbers stand for."""
    if not len(tensor.scale):
        return raw.astype(np.float32)
    return ((raw.astype(np.int32) - tensor.zero_point[0]) * tensor.scale[0]).astype(np.float32)
