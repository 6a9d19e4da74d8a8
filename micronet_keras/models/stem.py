"""The same change for any network: a first convolution that keeps the size of small pictures."""

import keras

from micronet_keras.layers import MicroStemConv2D


def with_stem_stride(model: keras.Model, strides: int) -> keras.Model:
    """A copy of `model` with new random weights whose first convolution has these strides.

    At 64 px a total stride of 32 leaves maps of 2 x 2; with a stem of stride 1 they are 4 x 4. All
    maps behind the stem grow alike, all weights keep their shapes.

    Args:
        model: a functional image model with a first convolution (`Conv2D` or `MicroStemConv2D`),
            such as a MicroNet or one of `keras.applications`.
        strides: of that convolution on both axes, at least 1.

    Raises:
        ValueError: there is no such layer.

    Example:

    >>> backbone = micronet_keras.MicroNetM0(input_shape=(64, 64, 3), include_top=False)
    >>> with_stem_stride(backbone, 1).output_shape
    (None, 4, 4, 384)
    """
    first = next(
        (
            layer
            for layer in model.layers
            if isinstance(layer, keras.layers.Conv2D | MicroStemConv2D)
        ),
        None,
    )
    if first is None:
        raise ValueError(f"A model with a first convolution is expected. Received: {model.name}")

    def copy(layer):
        config = layer.get_config()
        if layer is first:
            config["strides"] = strides
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=copy)
