"""Scores and boxes of a detector's feature maps as one tensor."""

import math

import keras
from keras import ops

from micronet_keras import checks


@keras.saving.register_keras_serializable(package="micronet_keras")
class PackLevels(keras.layers.Layer):
    """Joins a detector's maps of all levels: a row for every box that the detector can give.

    Rows stand in the order of the levels, then row by row of the map, then box by box of a place,
    as the coders of `micronet_keras.boxes` number them. It has no weights and computes nothing:
    `micronet_keras.lower` leaves it away, and an int8 model has the maps themselves as its outputs.

    Args:
        classes: number of classes.

    Input: a list with two tensors for each level, scores [batch, height, width, n * classes] and
    boxes [batch, height, width, n * 4], for n boxes at every place.
    Output: [batch, places, classes + 4]: scores, then the box. `places` counts the boxes of all
    places of all levels.

    Raises:
        ValueError: `classes` is not positive, or the inputs are not such pairs.

    Example:

    >>> maps = [keras.Input((16, 16, 10)), keras.Input((16, 16, 4)),
    ...         keras.Input((8, 8, 10)), keras.Input((8, 8, 4))]
    >>> PackLevels(10)(maps).shape
    (None, 320, 14)
    """

    def __init__(self, classes: int, **kwargs):
        super().__init__(**kwargs)
        self.classes = checks.positive_int("classes", classes)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs):
        rows = []
        for scores, boxes in zip(inputs[::2], inputs[1::2], strict=True):
            places = self._places(scores.shape)
            scores = ops.reshape(scores, (-1, places, self.classes))
            rows.append(ops.concatenate([scores, ops.reshape(boxes, (-1, places, 4))], axis=-1))
        return ops.concatenate(rows, axis=1)

    def compute_output_shape(self, input_shape):
        scores, boxes = input_shape[::2], input_shape[1::2]
        fits = (
            len(scores) == len(boxes)
            and all(len(shape) == 4 and None not in shape[1:] for shape in input_shape)
            and all(shape[-1] % self.classes == 0 for shape in scores)
            and [self._places(shape) * 4 for shape in scores]
            == [math.prod(shape[1:]) for shape in boxes]
        )
        if not fits:
            raise ValueError(
                f"PackLevels takes scores of {self.classes} classes and boxes for every level, "
                f"[batch, height, width, channels]. Received: {input_shape=}"
            )
        return (scores[0][0], sum(map(self._places, scores)), self.classes + 4)

    def _places(self, shape) -> int:
        return math.prod(shape[1:]) // self.classes

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}
