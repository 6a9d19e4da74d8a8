"""Multiply-adds of whole models."""

import keras

from micronet_keras.layers import MAdds
from micronet_keras.models.profile import profile


def count_madds(model: keras.Model, input_shape: tuple[int, int, int] | None = None) -> MAdds:
    """Counts the multiply-adds of a forward pass for one image, exactly.

    The sum of `profile`, with its arguments.

    Raises:
        ValueError: as of `profile`.

    Example:

    >>> count_madds(micronet_keras.models.MicroNetM0())
    MAdds(conv_and_linear=3448880, dy_shift_max=605248)
    """
    return profile(model, input_shape).madds
