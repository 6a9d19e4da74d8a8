"""ShuffleNetV2 (Ma et al., ECCV 2018), which MicroNet is compared with, as a functional model."""

import keras

from micronet_keras import checks
from micronet_keras.layers import ChannelShuffle

# The paper's table 5: channels of the three stages and of the last convolution.
_WIDTHS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
_STEM_FILTERS = 24
_REPEATS = (4, 8, 4)


def ShuffleNetV2(  # noqa: N802 (named as the builders of keras.applications are)
    width: float = 0.5,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    dropout_rate: float = 0.0,
) -> keras.Model:
    """ShuffleNetV2 with random weights, for training side by side with MicroNet.

    Built from the paper's table 5 and figure 3 (c, d): at width 0.5 and 224 px 1.4 million
    parameters and 41 million multiply-adds. Batch normalization has MicroNet's constants.

    Args:
        width: 0.5, 1.0, 1.5 or 2.0.
        input_shape: (height, width, 3), sides at least 32.
        classes: of the classifier.
        dropout_rate: before the classifier, within [0, 1); the paper has none.

    Returns:
        A model from float images [batch, height, width, 3] to logits [batch, classes].

    Raises:
        ValueError: an argument is out of its range.

    Example:

    >>> ShuffleNetV2(0.5, (64, 64, 3), classes=100).output_shape
    (None, 100)
    """
    if width not in _WIDTHS:
        raise ValueError(
            f"`width` must be one of {', '.join(map(str, _WIDTHS))}. Received: {width}"
        )
    checks.positive_int("classes", classes)
    checks.fraction("dropout_rate", dropout_rate)
    *stages, last = _WIDTHS[width]
    image = keras.Input(input_shape, name="image")
    x = _convolution(image, _STEM_FILTERS, 3, 2, "stem")
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    for stage, (filters, repeats) in enumerate(zip(stages, _REPEATS, strict=True), start=2):
        x = _downsampling_unit(x, filters, f"stage{stage}_unit1")
        for unit in range(2, repeats + 1):
            x = _basic_unit(x, f"stage{stage}_unit{unit}")
    x = _convolution(x, last, 1, 1, "last")
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = keras.layers.Dropout(dropout_rate, name="dropout")(x)
    x = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(image, x, name=f"shufflenet_v2_{width}")


def _basic_unit(x, name: str):
    """Half of the channels pass, half are convolved; a shuffle mixes them (figure 3 c)."""
    half = x.shape[-1] // 2
    branch = _convolution(x[..., half:], half, 1, 1, f"{name}_expand")
    branch = _depthwise(branch, 1, f"{name}_depthwise")
    branch = _convolution(branch, half, 1, 1, f"{name}_project")
    return _joined(x[..., :half], branch, name)


def _downsampling_unit(x, filters: int, name: str):
    """Both branches are convolved with stride 2, which doubles the channels (figure 3 d)."""
    left = _depthwise(x, 2, f"{name}_left_depthwise")
    left = _convolution(left, filters // 2, 1, 1, f"{name}_left_project")
    right = _convolution(x, filters // 2, 1, 1, f"{name}_expand")
    right = _depthwise(right, 2, f"{name}_depthwise")
    right = _convolution(right, filters // 2, 1, 1, f"{name}_project")
    return _joined(left, right, name)


def _joined(left, right, name: str):
    x = keras.layers.Concatenate(name=f"{name}_concat")([left, right])
    return ChannelShuffle(2, name=f"{name}_shuffle")(x)


def _convolution(x, filters: int, kernel_size: int, strides: int, name: str):
    x = keras.layers.Conv2D(
        filters, kernel_size, strides, padding="same", use_bias=False, name=name
    )(x)
    return keras.layers.ReLU(name=f"{name}_relu")(_normalized(x, name))


def _depthwise(x, strides: int, name: str):
    """No activation follows, as in the paper."""
    x = keras.layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name=name)(x)
    return _normalized(x, name)


def _normalized(x, name: str):
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
