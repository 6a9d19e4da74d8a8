"""Micro-Block-A, -B and -C: the paper's building blocks (section 4).

A row of the authors' table is expand -> depthwise -> squeeze. The paper draws its blocks half a row
later, so that each ends where the tensor is widest: depthwise -> squeeze -> expand. The expansion
of a Micro-Block-B or -C is therefore that of the next row, and what the row itself puts out is the
narrow tensor in the middle: the *squeezed* one, which carries the residual and makes a good
feature.
"""

import keras

from micronet_keras import checks
from micronet_keras.layers.micro_block import ExpandingMicroBlock, MicroBlock


@keras.saving.register_keras_serializable(package="micronet_keras")
class MicroBlockA(MicroBlock):
    """Micro-Block-A, the lite combination: the depthwise convolution expands, a pointwise squeezes.

    depthwise (c1, c2) -> activation -> shuffle(hidden_groups), with DY-ShiftMax also shuffle(C / 2)
    -> grouped pointwise to `filters` -> activation -> shuffle(output_groups), with DY-ShiftMax and
    even `filters` also shuffle(filters / 2). The input is added where strides is 1 and the channels
    agree. C = channels * c1 * c2. Source: section 4.1 of the paper; a row with g1 = 0 in the
    authors' code, whose names stand in brackets below.

    Args:
        filters: [c] channels of the output.
        kernel_size: [ks] of the depthwise convolution, odd.
        strides: [s] for both axes.
        multipliers: [c1, c2] of the two halves of the depthwise convolution.
        hidden_groups: [g2] groups of the activation and the shuffle after the depthwise
            convolution.
        squeeze_groups: [g3] groups of the pointwise convolution.
        output_groups: [g4] groups of the activation and the shuffle after it.
        depthwise_branches: [y2] 0: ReLU6; 1 or 2: DY-ShiftMax with so many branches.
        squeeze_branches: [y3] 0: nothing; 1: DY-ShiftMax with one branch.
        reduction: [8 r] of the DY-ShiftMax after the depthwise convolution; half of it in the
            other.
        init_a, init_b: centres of the coefficients of the DY-ShiftMax after the depthwise
            convolution (two numbers each, of which one branch uses the first). The other has 1 and
            0.

    Input: float [batch, height, width, channels].
    Output: float [batch, ceil(height / s), ceil(width / s), filters].

    Raises:
        ValueError: an argument is out of range, or groups do not divide the channels they meet.

    Example:

    >>> block = MicroBlockA(8, 3, strides=2, hidden_groups=4, squeeze_groups=2, output_groups=2)
    >>> block(keras.Input((48, 48, 4))).shape
    (None, 24, 24, 8)
    """


@keras.saving.register_keras_serializable(package="micronet_keras")
class MicroBlockB(ExpandingMicroBlock):
    """Micro-Block-B: a Micro-Block-A followed by the pointwise expansion of the next row.

    As `MicroBlockA` up to the squeezed tensor (input added where strides is 1 and the channels
    agree), then grouped pointwise to `expand_filters` -> activation ->
    shuffle(expand_hidden_groups).
    Source: section 4.1 of the paper.

    Args:
        filters: channels of the squeezed tensor. It and all other arguments that do not begin with
            `expand` are as in `MicroBlockA`.
        expand_filters: channels of the output.
        expand_groups: [g1 of the next row] groups of the expanding pointwise convolution.
        expand_hidden_groups: [its g2] groups of the activation and the shuffle after it.
        expand_branches: [its y1] 0: ReLU6; 1 or 2: DY-ShiftMax with so many branches.
        expand_reduction: [8 r of it] of that DY-ShiftMax.
        final: the expansion is a network's last ([y3] takes the place of y1): no shuffle, and with
            `expand_branches=0` no activation either.
        return_squeezed: also return the squeezed tensor: a feature, and the shortcut of a following
            `MicroBlockC`.

    Input: float [batch, height, width, channels].
    Output: float [batch, ceil(height / s), ceil(width / s), expand_filters], with `return_squeezed`
    a tuple of this and the squeezed tensor, [..., filters].

    Raises:
        ValueError: an argument is out of range, or groups do not divide the channels they meet.

    Example:

    >>> block = MicroBlockB(16, 5, strides=2, expand_filters=64, return_squeezed=True)
    >>> expanded, squeezed = block(keras.Input((12, 12, 12)))
    >>> expanded.shape, squeezed.shape
    ((None, 6, 6, 64), (None, 6, 6, 16))
    """


@keras.saving.register_keras_serializable(package="micronet_keras")
class MicroBlockC(ExpandingMicroBlock):
    """Micro-Block-C, the regular combination: depthwise, squeeze, and the expansion of the next
    row.

    depthwise (1, 1) -> activation -> shuffle (see `input_branches`) -> grouped pointwise to
    `filters` -> activation -> shuffle(output_groups), with DY-ShiftMax also shuffle(filters / 2)
    -> plus the shortcut -> grouped pointwise to `expand_filters` -> activation ->
    shuffle(expand_hidden_groups).
    Source: section 4.1 of the paper; an ordinary row of the authors' code.

    Args:
        filters: channels of the squeezed tensor. The arguments not named here are as in
            `MicroBlockA` (there are no `multipliers`) and `MicroBlockB`.
        hidden_groups: [g2] the DY-ShiftMax after the depthwise convolution has C / g2 groups (1
            group for g2 = 1), C being the channels of the input.
        input_branches: [y1] branches of the activation that the input went through, the previous
            block's `expand_branches`. Where this and `depthwise_branches` are both 0 nothing is
            shuffled after the depthwise convolution, where neither is, C / 4 groups are, else C /
            2.
        reduction: [8 r] of the DY-ShiftMax after the depthwise convolution; the one after the
            squeeze has half of it where it has fewer channels than the input, else the same.

    Input: float [batch, height, width, C], or a list of this and the shortcut [batch, height,
    width, channels], the previous block's squeezed tensor. The shortcut is added to the squeezed
    tensor where strides is 1 and the channels agree, and without effect elsewhere.
    Output: float [batch, ceil(height / s), ceil(width / s), expand_filters], with `return_squeezed`
    a tuple of this and the squeezed tensor, [..., filters].

    Raises:
        ValueError: an argument is out of range, or groups do not divide the channels they meet.

    Example:

    >>> block = MicroBlockC(32, 5, hidden_groups=4, expand_filters=128, return_squeezed=True)
    >>> x, shortcut = keras.Input((6, 6, 64)), keras.Input((6, 6, 32))
    >>> expanded, squeezed = block([x, shortcut])
    >>> expanded.shape, squeezed.shape
    ((None, 6, 6, 128), (None, 6, 6, 32))
    """

    def __init__(
        self, filters: int, kernel_size: int = 3, strides: int = 1, *, input_branches=2, **kwargs
    ):
        # The expansion before it has widened the input.
        super().__init__(filters, kernel_size, strides, multipliers=(1, 1), **kwargs)
        self.input_branches = checks.branches("input_branches", input_branches, (0, 1, 2))

    def get_config(self):
        config = super().get_config()
        del config["multipliers"]
        return config

    def _separate(self, inputs):
        # Of tensors and of shapes alike: a shape is a sequence of numbers, not of sequences.
        if isinstance(inputs, tuple | list) and not isinstance(inputs[0], int | None):
            if len(inputs) != 2:
                raise ValueError(
                    f"MicroBlockC takes x or [x, shortcut]. Received: {len(inputs)} inputs"
                )
            return inputs
        return inputs, None

    def _hidden_layout(self, hidden):
        groups = 1 if self.hidden_groups == 1 else hidden // self.hidden_groups
        dynamic = bool(self.input_branches) + bool(self.depthwise_branches)
        return groups, [[], [hidden // 2], [hidden // 4]][dynamic]

    def _squeeze_reduction(self, hidden):
        narrower = self.filters < hidden
        return super()._squeeze_reduction(hidden) if narrower else self.reduction
