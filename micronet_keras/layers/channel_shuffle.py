"""Channel shuffle: the permutation between grouped convolutions."""

import keras
from keras import ops

from micronet_keras import checks
from micronet_keras.layers.madds import MAdds


@keras.saving.register_keras_serializable(package="micronet_keras")
class ChannelShuffle(keras.layers.Layer):
    """Views the C channels as [groups, C / groups], transposes them and flattens them again.

    Channel g * (C / groups) + i goes to i * groups + g, so that every block of `groups`
    neighbouring channels of the output holds one channel from each group of the input.
    Source: the permutation of MicroNet's micro-factorized pointwise convolution (section 3.1).

    Args:
        groups: number of groups, at least 1; the channels must be divisible by it. With 1 group,
            and with as many groups as channels, nothing moves.

    Input and output: float [batch, ..., channels].

    Raises:
        ValueError: `groups` is not a positive integer or does not divide the channels.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(6.0), (1, 1, 1, 6))
    >>> keras.ops.convert_to_numpy(ChannelShuffle(2)(x)).ravel()
    array([0., 3., 1., 4., 2., 5.], dtype=float32)
    """

    def __init__(self, groups: int, **kwargs):
        super().__init__(**kwargs)
        self.groups = checks.positive_int("groups", groups)

    def build(self, input_shape):
        checks.channels("ChannelShuffle", input_shape, self.groups)
        self.built = True

    def call(self, inputs):
        channels = inputs.shape[-1]
        if self.groups in (1, channels):
            return inputs
        grouped = ops.reshape(inputs, (-1, self.groups, channels // self.groups))
        return ops.reshape(ops.transpose(grouped, (0, 2, 1)), ops.shape(inputs))

    def compute_output_shape(self, input_shape):
        checks.channels("ChannelShuffle", input_shape, self.groups)
        return tuple(input_shape)

    def count_madds(self, input_shape) -> MAdds:
        """A permutation costs no multiply-adds."""
        return MAdds()

    def get_config(self):
        return {**super().get_config(), "groups": self.groups}
