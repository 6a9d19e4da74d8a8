"""What a layer costs: multiply-adds for one image."""

import dataclasses
import math

import keras


@dataclasses.dataclass(frozen=True)
class MAdds:
    """Multiply-adds of one forward pass for one image, in the paper's two parts.

    Attributes:
        conv_and_linear: of convolutions and dense layers, those inside DY-ShiftMax included. Zeros
            of the padding count as other pixels do; batch normalization, biases, pooling and plain
            activations count nothing.
        dy_shift_max: multiplications of DY-ShiftMax's coefficients with its input.
    """

    conv_and_linear: int = 0
    dy_shift_max: int = 0

    @property
    def total(self) -> int:
        """Both parts together: what the paper calls the network's MAdds."""
        return self.conv_and_linear + self.dy_shift_max

    def __add__(self, other: "MAdds") -> "MAdds":
        return MAdds(
            self.conv_and_linear + other.conv_and_linear, self.dy_shift_max + other.dy_shift_max
        )


_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    *_TRANSPOSED,
)


def layer_madds(layer: keras.layers.Layer, input_shape: tuple, output_shape: tuple) -> MAdds:
    """Multiply-adds of one layer for one image; shapes include the batch axis.

    A layer with a method `count_madds(input_shape)` speaks for itself. Of Keras' own layers
    convolutions and dense layers count, all others are free, as in the paper.

    Raises:
        ValueError: a convolution with `data_format="channels_first"`.
    """
    if hasattr(layer, "count_madds"):
        return layer.count_madds(input_shape)
    if isinstance(layer, keras.layers.Dense):
        return MAdds(math.prod(output_shape[1:]) * layer.kernel.shape[0])
    if not isinstance(layer, _CONVOLUTIONS):
        return MAdds()
    if layer.data_format != "channels_last":
        raise ValueError(f"MAdds are counted for channels_last only. Received: {layer.name}")
    # Every kernel meets every place; transposed, every place that is read. Holds with groups, too:
    # the kernel of a grouped convolution is as thin as one group.
    shape = input_shape if isinstance(layer, _TRANSPOSED) else output_shape
    names = ("kernel", "depthwise_kernel", "pointwise_kernel")
    kernels = [getattr(layer, name) for name in names if hasattr(layer, name)]
    return MAdds(math.prod(shape[1:-1]) * sum(math.prod(kernel.shape) for kernel in kernels))
