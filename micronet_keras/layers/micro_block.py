"""What Micro-Block-A, -B and -C have in common: two lists of layers and a shortcut between them."""

import inspect

import keras
from keras import ops

from micronet_keras import checks
from micronet_keras.layers.channel_shuffle import ChannelShuffle
from micronet_keras.layers.dy_shift_max import DYShiftMax
from micronet_keras.layers.factorized import (
    MicroFactorizedDepthwiseConv2D,
    MicroFactorizedPointwiseConv2D,
    strided,
)
from micronet_keras.layers.madds import MAdds, layer_madds


class MicroBlock(keras.layers.Layer):
    """Depthwise -> activation -> shuffles -> squeeze -> activation -> shuffles, plus a shortcut.

    Two public lists name the layers of a built block in the order in which they run:
    `squeeze_path`, after which the shortcut is added where `adds_shortcut` is set, and
    `expand_path`, which is empty in a Micro-Block-A.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        *,
        multipliers: tuple[int, int] = (2, 2),
        hidden_groups: int = 1,
        squeeze_groups: int = 1,
        output_groups: int = 1,
        depthwise_branches: int = 2,
        squeeze_branches: int = 1,
        reduction: int = 8,
        init_a: tuple[float, float] = (1.0, 1.0),
        init_b: tuple[float, float] = (0.0, 0.0),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = checks.positive_int("filters", filters)
        self.kernel_size = checks.odd_int("kernel_size", kernel_size)
        self.strides = checks.positive_int("strides", strides)
        self.multipliers = checks.pair("multipliers", multipliers)
        self.hidden_groups = checks.positive_int("hidden_groups", hidden_groups)
        self.squeeze_groups = checks.positive_int("squeeze_groups", squeeze_groups)
        self.output_groups = checks.positive_int("output_groups", output_groups)
        self.depthwise_branches = checks.branches(
            "depthwise_branches", depthwise_branches, (0, 1, 2)
        )
        self.squeeze_branches = checks.branches("squeeze_branches", squeeze_branches, (0, 1))
        self.reduction = checks.positive_int("reduction", reduction)
        self.init_a = checks.floats("init_a", init_a, 2)
        self.init_b = checks.floats("init_b", init_b, 2)

    @property
    def squeeze_path(self) -> list[keras.layers.Layer]:
        """The layers from the input to the squeezed tensor, in order."""
        return [
            self.depthwise,
            self.depthwise_activation,
            *self.depthwise_shuffles,
            self.squeeze,
            *([self.squeeze_activation] if self.squeeze_activation else []),
            *self.squeeze_shuffles,
        ]

    @property
    def expand_path(self) -> list[keras.layers.Layer]:
        """The layers from the squeezed tensor (shortcut added) to the output, in order."""
        return []

    def build(self, input_shape):
        shape, shortcut = self._separate(input_shape)
        checks.image_shape(type(self).__name__, shape)
        checks.channels(type(self).__name__, shape)
        self._make_squeeze(shape[-1] * self.multipliers[0] * self.multipliers[1])
        shape = _build_path(self.squeeze_path, shape)
        self.adds_shortcut = bool(
            self.strides == 1 and shortcut is not None and shortcut[-1] == self.filters
        )
        if self.adds_shortcut and tuple(shortcut[1:3]) != tuple(shape[1:3]):
            raise ValueError(
                "The shortcut must have the same height and width as the input. "
                f"Received: {input_shape=}"
            )
        self._make_expansion()
        _build_path(self.expand_path, shape)
        self.built = True

    def call(self, inputs):
        x, shortcut = self._separate(inputs)
        squeezed = _run_path(self.squeeze_path, x)
        if self.adds_shortcut:
            squeezed = ops.add(squeezed, shortcut)
        return self._outputs(_run_path(self.expand_path, squeezed), squeezed)

    def compute_output_shape(self, input_shape):
        (batch, height, width, _), _ = self._separate(input_shape)
        size = (batch, strided(height, self.strides), strided(width, self.strides))
        return self._outputs((*size, self._output_filters), (*size, self.filters))

    def count_madds(self, input_shape) -> MAdds:
        """Multiply-adds of a built block for one image; `input_shape` as given to `build`."""
        shape, _ = self._separate(input_shape)
        total = MAdds()
        for layer in self.squeeze_path + self.expand_path:
            output_shape = layer.compute_output_shape(shape)
            total += layer_madds(layer, shape, output_shape)
            shape = output_shape
        return total

    def get_config(self):
        arguments = {name: getattr(self, name) for name in _arguments(type(self))}
        return {**super().get_config(), **arguments}

    # What the subclasses differ in.

    def _separate(self, inputs):
        """Input and shortcut (or None), of tensors as of shapes: here the input is the shortcut."""
        return inputs, inputs

    def _outputs(self, output, squeezed):
        return output

    @property
    def _output_filters(self):
        return self.filters

    def _hidden_layout(self, hidden):
        """Groups of the activation after the depthwise convolution, and of the shuffles there."""
        shuffles = [self.hidden_groups]
        if self.depthwise_branches:
            shuffles.append(hidden // 2)
        return self.hidden_groups, shuffles

    def _squeeze_reduction(self, hidden):
        return max(1, self.reduction // 2)

    def _make_expansion(self):
        pass

    # What they share.

    @property
    def _passed_on(self) -> dict:
        """What the layers within have from the block."""
        return {"dtype": self.dtype_policy, "trainable": self.trainable}

    def _make_squeeze(self, hidden):
        groups, shuffles = self._hidden_layout(hidden)
        self.depthwise = MicroFactorizedDepthwiseConv2D(
            self.kernel_size,
            self.strides,
            self.multipliers,
            **self._passed_on,
            name="depthwise",
        )
        self.depthwise_activation = self._activation(
            "depthwise_activation", groups, self.depthwise_branches, self.reduction
        )
        self.depthwise_shuffles = self._shuffles("depthwise_shuffle", shuffles)
        self.squeeze = MicroFactorizedPointwiseConv2D(
            self.filters, self.squeeze_groups, **self._passed_on, name="squeeze"
        )
        self.squeeze_activation = None
        shuffles = [self.output_groups]
        if self.squeeze_branches:
            self.squeeze_activation = DYShiftMax(
                self.output_groups,
                branches=1,
                reduction=self._squeeze_reduction(hidden),
                **self._passed_on,
                name="squeeze_activation",
            )
            if self.filters % 2 == 0:
                shuffles.append(self.filters // 2)
        self.squeeze_shuffles = self._shuffles("squeeze_shuffle", shuffles)

    def _activation(self, name, groups, branches, reduction):
        if not branches:
            return keras.layers.ReLU(6.0, **self._passed_on, name=name)
        return DYShiftMax(
            groups,
            branches,
            reduction,
            self.init_a[:branches],
            self.init_b[:branches],
            **self._passed_on,
            name=name,
        )

    def _shuffles(self, name, groups):
        return [
            ChannelShuffle(count, **self._passed_on, name=f"{name}_{i}")
            for i, count in enumerate(groups)
        ]


class ExpandingMicroBlock(MicroBlock):
    """A block with the pointwise expansion of the next row at its end."""

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        *,
        expand_filters: int,
        expand_groups: int = 1,
        expand_hidden_groups: int = 1,
        expand_branches: int = 2,
        expand_reduction: int = 8,
        final: bool = False,
        return_squeezed: bool = False,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.expand_filters = checks.positive_int("expand_filters", expand_filters)
        self.expand_groups = checks.positive_int("expand_groups", expand_groups)
        self.expand_hidden_groups = checks.positive_int(
            "expand_hidden_groups", expand_hidden_groups
        )
        self.final = bool(final)
        allowed = (0, 1) if self.final else (0, 1, 2)
        self.expand_branches = checks.branches("expand_branches", expand_branches, allowed)
        self.expand_reduction = checks.positive_int("expand_reduction", expand_reduction)
        self.return_squeezed = bool(return_squeezed)

    @property
    def expand_path(self):
        activation = [self.expand_activation] if self.expand_activation else []
        return [self.expand, *activation, *self.expand_shuffles]

    def _outputs(self, output, squeezed):
        return (output, squeezed) if self.return_squeezed else output

    @property
    def _output_filters(self):
        return self.expand_filters

    def _make_expansion(self):
        self.expand = MicroFactorizedPointwiseConv2D(
            self.expand_filters, self.expand_groups, **self._passed_on, name="expand"
        )
        self.expand_activation = None
        if self.expand_branches or not self.final:
            self.expand_activation = self._activation(
                "expand_activation",
                self.expand_hidden_groups,
                self.expand_branches,
                self.expand_reduction,
            )
        shuffles = [] if self.final else [self.expand_hidden_groups]
        self.expand_shuffles = self._shuffles("expand_shuffle", shuffles)


def _arguments(block: type[MicroBlock]) -> list[str]:
    """Names of the arguments that a class of blocks takes beyond those of every layer.

    They stand in the signatures and nowhere else; each is an attribute of the same name.
    """
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names: dict[str, None] = {}
    for base in block.__mro__[: block.__mro__.index(MicroBlock) + 1]:
        _, *parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
        names |= dict.fromkeys(argument.name for argument in parameters if argument.kind in named)
    return list(names)


def _build_path(path, shape):
    for layer in path:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape


def _run_path(path, x):
    for layer in path:
        x = layer(x)
    return x
