"""DY-ShiftMax: MicroNet's dynamic activation."""

import keras
from keras import ops

from micronet_keras import checks
from micronet_keras.layers.madds import MAdds


def squeezed_channels(channels: int, reduction: int) -> int:
    """Width of the layer between the two dense layers of DY-ShiftMax: about channels / reduction.

    A multiple of 4, at least 4, and not less than 0.9 times channels // reduction.
    """
    wanted = channels // reduction
    rounded = max(4, (wanted + 2) // 4 * 4)
    return rounded + 4 if rounded < 0.9 * wanted else rounded


@keras.saving.register_keras_serializable(package="micronet_keras")
class DYShiftMax(keras.layers.Layer):
    """Dynamic Shift-Max: the maximum of K dynamic mixtures of a channel and a shifted channel.

    y = max over k of a_k(x) * x + b_k(x) * shift(x), for K = 1 without the maximum. The shift takes
    channel i of group g from channel i + 1 of group g + 1, both cyclic:
    shift(x)[g, i] = x[(g + 1) mod G, (i + 1) mod (C / G)]. The coefficients depend on the image and
    the channel: global average pooling -> dense to S -> ReLU -> dense to 2 * K * C -> hard sigmoid
    h -> (h - 0.5) * 4 + init, in the order a_1, b_1, a_2, b_2. Source: section 3.2 of the paper
    with J = 2; that the channels inside a group move, too, is from the authors' code only.

    Args:
        groups: G, number of groups; divides the channels.
        branches: K, 1 or 2.
        reduction: R, positive; S is about C / R (see `squeezed_channels`).
        init_a: centre of the range of a_k, K numbers; 1.0 each unless given. a_k is within
            [init_a - 2, init_a + 2].
        init_b: the same for b_k; 0.0 each unless given.

    Input and output: float [batch, height, width, C].

    Attributes: `squeeze` and `coefficients`, the two `keras.layers.Dense`, kernels (C, S) and
    (S, 2 * K * C), with biases.

    Raises:
        ValueError: an argument is out of range, or `groups` does not divide the channels.

    Example:

    >>> DYShiftMax(groups=4)(keras.Input((8, 8, 16))).shape
    (None, 8, 8, 16)
    """

    def __init__(
        self,
        groups: int,
        branches: int = 2,
        reduction: int = 8,
        init_a: tuple[float, ...] | None = None,
        init_b: tuple[float, ...] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.groups = checks.positive_int("groups", groups)
        self.branches = checks.branches("branches", branches, (1, 2))
        self.reduction = checks.positive_int("reduction", reduction)
        self.init_a = checks.floats("init_a", init_a or (1.0,) * branches, branches)
        self.init_b = checks.floats("init_b", init_b or (0.0,) * branches, branches)

    def build(self, input_shape):
        self._check(input_shape)
        channels = input_shape[-1]
        width = squeezed_channels(channels, self.reduction)

        def dense(units, name):
            return keras.layers.Dense(
                units,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name=name,
            )

        self.squeeze = dense(width, "squeeze")
        self.squeeze.build((input_shape[0], channels))
        self.coefficients = dense(2 * self.branches * channels, "coefficients")
        self.coefficients.build((input_shape[0], width))
        self.built = True

    def call(self, inputs):
        pooled = ops.mean(inputs, axis=(1, 2))
        h = ops.hard_sigmoid(self.coefficients(ops.relu(self.squeeze(pooled))))
        values = ops.split((h[:, None, None, :] - 0.5) * 4.0, 2 * self.branches, axis=-1)
        shifted = self.shift(inputs)
        mixtures = [
            inputs * (values[2 * k] + self.init_a[k])
            + shifted * (values[2 * k + 1] + self.init_b[k])
            for k in range(self.branches)
        ]
        return mixtures[0] if self.branches == 1 else ops.maximum(*mixtures)

    def shift(self, x):
        """x with its groups rolled by one and the channels inside each group rolled by one."""
        grouped = ops.reshape(x, (-1, self.groups, x.shape[-1] // self.groups))
        for axis in (1, 2):
            if grouped.shape[axis] == 1:
                continue
            # Not `ops.roll`, which TensorFlow Lite has no operator for; not by slices, whose
            # gradients are padded and added.
            first, rest = ops.split(grouped, [1], axis=axis)
            grouped = ops.concatenate([rest, first], axis=axis)
        return ops.reshape(grouped, ops.shape(x))

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        return tuple(input_shape)

    def count_madds(self, input_shape) -> MAdds:
        """Multiply-adds for one image of `input_shape` [batch, height, width, channels]."""
        _, height, width, channels = input_shape
        squeezed = squeezed_channels(channels, self.reduction)
        outputs = 2 * self.branches * channels
        return MAdds(channels * squeezed + squeezed * outputs, height * width * outputs)

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "branches": self.branches,
            "reduction": self.reduction,
            "init_a": self.init_a,
            "init_b": self.init_b,
        }

    def _check(self, input_shape):
        checks.image_shape("DYShiftMax", input_shape)
        checks.channels("DYShiftMax", input_shape, self.groups)
