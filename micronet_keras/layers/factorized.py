"""MicroNet's factorized convolutions: k x k into k x 1 and 1 x k, and 1 x 1 into groups.

Every kernel is padded by k // 2 on both sides, as in PyTorch; at stride 2 that is not what Keras
calls "same". A strided axis of size n becomes ceil(n / stride) long. Channels come last.
"""

import math

import keras
from keras import ops

from micronet_keras import checks
from micronet_keras.layers.madds import MAdds


def batch_normalization(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """Batch normalization inside `layer`, with the constants of the authors' code.

    momentum 0.9: Keras' default of 0.99 leaves the statistics of a short training behind.
    """
    return keras.layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
        name=name,
    )


def kernel_initializer(shape: tuple[int, ...], filters: int) -> keras.initializers.Initializer:
    """The authors' initialization: normal with variance 2 / (kernel area * filters)."""
    area = shape[0] * shape[1]
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / (area * filters)))


def strided(size: int | None, strides: int) -> int | None:
    """Length of an axis after a centred, strided convolution; None stays None."""
    return None if size is None else -(-size // strides)


class _VerticalHorizontalConv2D(keras.layers.Layer):
    """A k x 1 convolution with stride (s, 1), then a 1 x k depthwise one with stride (1, s).

    Batch normalization follows both; there are no biases. The subclasses say what the vertical one
    is: `_vertical_kernel_shape`, `_vertical_filters` and `_convolve_vertically`.
    """

    def __init__(self, kernel_size: int, strides: int, multiplier: int, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = checks.odd_int("kernel_size", kernel_size)
        self.strides = checks.positive_int("strides", strides)
        self._horizontal_multiplier = multiplier
        self.vertical_normalization = batch_normalization(self, "vertical_normalization")
        self.horizontal_normalization = batch_normalization(self, "horizontal_normalization")

    def build(self, input_shape):
        self._check(input_shape)
        between = self._vertical_filters(input_shape)
        filters = between * self._horizontal_multiplier
        shape = self._vertical_kernel_shape(input_shape)
        self.vertical_kernel = self.add_weight(
            shape=shape, initializer=kernel_initializer(shape, between), name="vertical_kernel"
        )
        self.vertical_normalization.build((*input_shape[:3], between))
        shape = (1, self.kernel_size, between, self._horizontal_multiplier)
        self.horizontal_kernel = self.add_weight(
            shape=shape, initializer=kernel_initializer(shape, filters), name="horizontal_kernel"
        )
        self.horizontal_normalization.build((*input_shape[:3], filters))
        self.built = True

    def call(self, inputs):
        x = self.vertical_normalization(self._convolve_vertically(inputs))
        return self.horizontal_normalization(self._convolve_horizontally(x))

    def _convolve_horizontally(self, x):
        """Strides are given as (s, s): TensorFlow refuses unequal ones in depthwise convolutions on
        GPUs and on CPUs without oneDNN. Rows become images of height 1, so the first is idle."""
        _, height, width, channels = ops.shape(x)
        x = ops.reshape(x, (-1, 1, width, channels))
        pad = self.kernel_size // 2
        x = ops.pad(x, ((0, 0), (0, 0), (pad, pad), (0, 0)))
        x = ops.depthwise_conv(
            x, self.horizontal_kernel, self.strides, "valid", data_format="channels_last"
        )
        return ops.reshape(x, (-1, height, strided(width, self.strides), x.shape[-1]))

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        batch, height, width, _ = input_shape
        filters = self._vertical_filters(input_shape) * self._horizontal_multiplier
        return batch, strided(height, self.strides), strided(width, self.strides), filters

    def count_madds(self, input_shape) -> MAdds:
        """Multiply-adds for one image of `input_shape` [batch, height, width, channels]."""
        _, height, width, channels = self.compute_output_shape(input_shape)
        vertical = height * input_shape[2] * math.prod(self._vertical_kernel_shape(input_shape))
        return MAdds(vertical + height * width * channels * self.kernel_size)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
        }

    def _check(self, input_shape):
        checks.image_shape(type(self).__name__, input_shape)
        checks.channels(type(self).__name__, input_shape)


@keras.saving.register_keras_serializable(package="micronet_keras")
class MicroStemConv2D(_VerticalHorizontalConv2D):
    """The convolutions at the mouth of a MicroNet: a k x k convolution of rank g1, factorized.

    k x 1 convolution, stride (s, 1), to g1 channels, and batch normalization; then 1 x k depthwise
    convolution, stride (1, s), with g2 channels out of each, and batch normalization. In a MicroNet
    `ChannelShuffle(g1)` and ReLU6 follow. Source: the authors' `SpatialSepConvSF`.

    Args:
        groups: (g1, g2), positive. The output has g1 * g2 channels.
        kernel_size: k, odd. Padded by k // 2 on both sides.
        strides: s, for both axes.

    Input: float [batch, height, width, channels]. Output: float
    [batch, ceil(height / s), ceil(width / s), g1 * g2].

    Attributes: `vertical_kernel` (k, 1, channels, g1), `vertical_normalization`,
    `horizontal_kernel` (1, k, g1, g2), `horizontal_normalization`; output channel i * g2 + j of the
    second convolution is the j-th of its input channel i.

    Raises:
        ValueError: an argument is out of range, or the input is not a batch of images.

    Example:

    >>> MicroStemConv2D((2, 2))(keras.Input((96, 96, 3))).shape
    (None, 48, 48, 4)
    """

    def __init__(self, groups: tuple[int, int], kernel_size: int = 3, strides: int = 2, **kwargs):
        self.groups = checks.pair("groups", groups)
        super().__init__(kernel_size, strides, self.groups[1], **kwargs)

    def _vertical_filters(self, input_shape):
        return self.groups[0]

    def _vertical_kernel_shape(self, input_shape):
        return (self.kernel_size, 1, input_shape[-1], self.groups[0])

    def _convolve_vertically(self, x):
        pad = self.kernel_size // 2
        x = ops.pad(x, ((0, 0), (pad, pad), (0, 0), (0, 0)))
        return ops.conv(
            x, self.vertical_kernel, (self.strides, 1), "valid", data_format="channels_last"
        )

    def get_config(self):
        return {**super().get_config(), "groups": self.groups}


@keras.saving.register_keras_serializable(package="micronet_keras")
class MicroFactorizedDepthwiseConv2D(_VerticalHorizontalConv2D):
    """The micro-factorized depthwise convolution: k x k depthwise, factorized into rank 1.

    k x 1 depthwise convolution, stride (s, 1), with c1 channels out of each, and batch
    normalization; then 1 x k depthwise convolution, stride (1, s), with c2 channels out of each,
    and batch normalization; nothing between and no biases. Source: section 3.1 of the paper; the
    authors' `DepthSpatialSepConv`.

    Args:
        kernel_size: k, odd. Padded by k // 2 on both sides, as in PyTorch.
        strides: s, for both axes.
        multipliers: (c1, c2), positive. The "lite combination" of Micro-Block-A and -B expands with
            them; (1, 1) keeps the channels.

    Input: float [batch, height, width, channels]. Output: float
    [batch, ceil(height / s), ceil(width / s), channels * c1 * c2].

    Attributes: `vertical_kernel` (k, 1, channels, c1), `vertical_normalization`,
    `horizontal_kernel` (1, k, channels * c1, c2), `horizontal_normalization`; output channel
    i * c + j of a convolution is the j-th of its input channel i.

    Raises:
        ValueError: an argument is out of range, or the input is not a batch of images.

    Example:

    >>> layer = MicroFactorizedDepthwiseConv2D(3, strides=2, multipliers=(2, 2))
    >>> layer(keras.Input((48, 48, 4))).shape
    (None, 24, 24, 16)
    """

    def __init__(
        self,
        kernel_size: int,
        strides: int = 1,
        multipliers: tuple[int, int] = (1, 1),
        **kwargs,
    ):
        self.multipliers = checks.pair("multipliers", multipliers)
        super().__init__(kernel_size, strides, self.multipliers[1], **kwargs)

    def _vertical_filters(self, input_shape):
        return input_shape[-1] * self.multipliers[0]

    def _vertical_kernel_shape(self, input_shape):
        return (self.kernel_size, 1, input_shape[-1], self.multipliers[0])

    def _convolve_vertically(self, x):
        """Strides are (s, s) here, too. Columns of zeros between the columns make up for the
        second; they cost little, for the rows are padded anyway."""
        _, height, width, channels = ops.shape(x)
        pad, gap = self.kernel_size // 2, self.strides - 1
        x = ops.pad(
            ops.reshape(x, (-1, height, width, 1, channels)),
            ((0, 0), (pad, pad), (0, 0), (0, gap), (0, 0)),
        )
        x = ops.reshape(x, (-1, height + 2 * pad, width * self.strides, channels))
        return ops.depthwise_conv(
            x, self.vertical_kernel, self.strides, "valid", data_format="channels_last"
        )

    def get_config(self):
        return {**super().get_config(), "multipliers": self.multipliers}


@keras.saving.register_keras_serializable(package="micronet_keras")
class MicroFactorizedPointwiseConv2D(keras.layers.Layer):
    """A grouped 1 x 1 convolution and batch normalization: a factor of a micro-factorized
    pointwise.

    The paper's micro-factorized pointwise convolution (section 3.1) is a product of two of these
    with
    a permutation between them: squeeze to few channels in `groups` groups,
    `ChannelShuffle(groups)`, expand to many channels in groups again. The blocks hold the three as
    layers of their own, since activations stand between them and the next block's depthwise
    convolution follows the second.

    Args:
        filters: number of output channels.
        groups: number of groups; divides the input channels and `filters`. Output channels
            g * filters / groups ... are made from input channels g * channels / groups ...

    Input: float [batch, height, width, channels]. Output: float [batch, height, width, filters].

    Attributes: `kernel` (1, 1, channels / groups, filters), `normalization`. No bias.

    Raises:
        ValueError: an argument is out of range, or `groups` does not divide the channels.

    Example:

    >>> MicroFactorizedPointwiseConv2D(8, groups=2)(keras.Input((24, 24, 16))).shape
    (None, 24, 24, 8)
    """

    def __init__(self, filters: int, groups: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters = checks.positive_int("filters", filters)
        self.groups = checks.positive_int("groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"`filters` must be divisible by `groups`. Received: {filters=}, {groups=}"
            )
        self.normalization = batch_normalization(self, "normalization")

    def build(self, input_shape):
        self._check(input_shape)
        shape = (1, 1, input_shape[-1] // self.groups, self.filters)
        self.kernel = self.add_weight(
            shape=shape, initializer=kernel_initializer(shape, self.filters), name="kernel"
        )
        self.normalization.build((*input_shape[:-1], self.filters))
        self.built = True

    def call(self, inputs):
        return self.normalization(ops.matmul(inputs, self._block_diagonal()))

    def _block_diagonal(self):
        """The kernel as one (channels, filters) matrix, zero between different groups.

        The groups are so small that multiplying their zeros is quicker than any grouped form: 8 to
        20 times quicker than `keras.ops.conv` with groups, which TensorFlow compiles with XLA.
        """
        rows, filters = self.kernel.shape[2:]
        kernel = ops.tile(ops.reshape(self.kernel, (rows, filters)), (self.groups, 1))
        row_group = ops.arange(rows * self.groups) // rows
        column_group = ops.arange(filters) // (filters // self.groups)
        inside = ops.expand_dims(row_group, 1) == ops.expand_dims(column_group, 0)
        return kernel * ops.cast(inside, kernel.dtype)

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        return (*input_shape[:-1], self.filters)

    def count_madds(self, input_shape) -> MAdds:
        """Multiply-adds for one image of `input_shape` [batch, height, width, channels]."""
        _, height, width, channels = input_shape
        return MAdds(height * width * (channels // self.groups) * self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}

    def _check(self, input_shape):
        checks.image_shape("MicroFactorizedPointwiseConv2D", input_shape)
        checks.channels("MicroFactorizedPointwiseConv2D", input_shape, self.groups)
