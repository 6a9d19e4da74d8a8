"""The four published networks as tables of rows, and what such a table must look like."""

import dataclasses

from micronet_keras import checks


@dataclasses.dataclass(frozen=True)
class MicroNetRow:
    """One row of a MicroNet: expand (grouped 1 x 1), depthwise (k x 1, 1 x k), squeeze (grouped 1
    x 1).

    The names of the authors' `microconfig.py` stand in brackets. With `expand_groups` = 0 there is
    no expansion and the depthwise convolution expands (the lite combination); with `output_groups`
    = 0 the row is the last, an expansion alone.

    Attributes:
        strides: [s] of the depthwise convolution.
        repeats: [n] how often the row is built; from the second time on with strides 1.
        filters: [c] output channels. In the last row: input channels * c1 * c2.
        kernel_size: [ks] of the depthwise convolution, odd.
        multipliers: [c1, c2] the row is input channels * c1 * c2 wide inside.
        expand_groups: [g1] groups of the expansion, or 0.
        hidden_groups: [g2] groups of the shuffles and the DY-ShiftMax of the wide tensor.
        squeeze_groups: [g3] groups of the squeeze. Unused in the last row.
        output_groups: [g4] groups of the shuffle and the DY-ShiftMax of the output, or 0.
        expand_branches: [y1] after the expansion: 0 ReLU6, 1 or 2 DY-ShiftMax with so many
            branches.
        depthwise_branches: [y2] the same after the depthwise convolution.
        squeeze_branches: [y3] after the squeeze: 0 nothing, 1 DY-ShiftMax with one branch. In the
            last row: after the expansion.
        reduction: [r] factor of the network's reduction in DY-ShiftMax.

    Raises:
        ValueError: a number is out of range.
    """

    strides: int
    repeats: int
    filters: int
    kernel_size: int
    multipliers: tuple[int, int]
    expand_groups: int
    hidden_groups: int
    squeeze_groups: int
    output_groups: int
    expand_branches: int
    depthwise_branches: int
    squeeze_branches: int
    reduction: int

    def __post_init__(self):
        for name in ("strides", "repeats", "filters", "hidden_groups", "reduction"):
            checks.positive_int(name, getattr(self, name))
        for name in ("expand_groups", "squeeze_groups", "output_groups"):
            checks.not_negative_int(name, getattr(self, name))
        checks.odd_int("kernel_size", self.kernel_size)
        object.__setattr__(self, "multipliers", checks.pair("multipliers", self.multipliers))
        checks.branches("expand_branches", self.expand_branches, (0, 1, 2))
        checks.branches("depthwise_branches", self.depthwise_branches, (0, 1, 2))
        checks.branches("squeeze_branches", self.squeeze_branches, (0, 1))

    @property
    def is_lite(self) -> bool:
        """Whether the depthwise convolution does the expansion."""
        return self.expand_groups == 0

    @property
    def is_final(self) -> bool:
        """Whether the row is an expansion alone, the last of a network."""
        return self.output_groups == 0


@dataclasses.dataclass(frozen=True)
class MicroNetConfig:
    """A network: stem, rows and head.

    Attributes:
        name: default name of the model.
        rows: lite rows first, then ordinary ones, then the final one. At least one of the first
            and exactly one of the last kind.
        stem_groups: (g1, g2) of the stem, which has g1 * g2 channels.
        hidden_units: width of the classifier's hidden layer.
        dropout_rate: in the classifier, before its last layer.
        init_a, init_b: centres of the coefficients of DY-ShiftMax with two branches.
        reduction: of DY-ShiftMax; multiplied by each row's own.

    Raises:
        ValueError: the rows do not form a network, or a number is out of range.
    """

    name: str
    rows: tuple[MicroNetRow, ...]
    stem_groups: tuple[int, int]
    hidden_units: int
    dropout_rate: float
    init_a: tuple[float, float] = (1.0, 1.0)
    init_b: tuple[float, float] = (0.0, 0.0)
    reduction: int = 8

    def __post_init__(self):
        object.__setattr__(self, "rows", tuple(self.rows))
        object.__setattr__(self, "stem_groups", checks.pair("stem_groups", self.stem_groups))
        object.__setattr__(self, "init_a", checks.floats("init_a", self.init_a, 2))
        object.__setattr__(self, "init_b", checks.floats("init_b", self.init_b, 2))
        checks.positive_int("hidden_units", self.hidden_units)
        checks.positive_int("reduction", self.reduction)
        checks.fraction("dropout_rate", self.dropout_rate)
        self._check_rows()

    def _check_rows(self):
        if len(self.rows) < 2 or not self.rows[0].is_lite:
            raise ValueError(
                "`rows` must begin with a row that has expand_groups=0 (g1), for the stem is too "
                f"narrow for a pointwise expansion. Received: rows={self.rows}"
            )
        finals = [row.is_final for row in self.rows]
        if finals != [False] * (len(finals) - 1) + [True] or self.rows[-1].repeats != 1:
            raise ValueError(
                "`rows` must end with a row that has output_groups=0 (g4) and repeats=1, and no "
                f"other may have output_groups=0. Received: rows={self.rows}"
            )
        kinds = [row.is_lite for row in self.rows]
        if kinds != sorted(kinds, reverse=True) or kinds[-1]:
            raise ValueError(
                "`rows` with expand_groups=0 (g1) must come before all others, and the last row "
                f"needs an expansion. Received: rows={self.rows}"
            )
        if any(row.squeeze_groups == 0 for row in self.rows[:-1]):
            raise ValueError(
                "`rows` but the last need squeeze_groups (g3) of at least 1. "
                f"Received: rows={self.rows}"
            )
        final, before = self.rows[-1], self.rows[-2]
        expanded = before.filters * final.multipliers[0] * final.multipliers[1]
        if final.filters != expanded:
            raise ValueError(
                "`filters` of the last row must be the previous row's filters times its own "
                f"multipliers, {expanded}. Received: filters={final.filters}"
            )


def _rows(table) -> tuple[MicroNetRow, ...]:
    return tuple(
        MicroNetRow(s, n, c, ks, (c1, c2), g1, g2, g3, g4, y1, y2, y3, r)
        for s, n, c, ks, c1, c2, g1, g2, g3, g4, y1, y2, y3, r in table
    )


# The published networks: the numbers of the authors' microconfig.py and training scripts.
# fmt: off
CONFIGS: dict[str, MicroNetConfig] = {
    "m0": MicroNetConfig(
        name="micronet_m0", stem_groups=(2, 2), hidden_units=640, dropout_rate=0.05,
        rows=_rows([
            # s  n   c  ks c1 c2  g1  g2  g3  g4 y1 y2 y3 r
            (2, 1,   8, 3, 2, 2,  0,  4,  2,  2, 2, 0, 1, 1),
            (2, 1,  12, 3, 2, 2,  0,  8,  4,  4, 2, 2, 1, 1),
            (2, 1,  16, 5, 2, 2,  0, 12,  4,  4, 2, 2, 1, 1),
            (1, 1,  32, 5, 1, 4,  4,  4,  4,  4, 2, 2, 1, 1),
            (2, 1,  64, 5, 1, 4,  8,  8,  8,  8, 2, 2, 1, 1),
            (1, 1,  96, 3, 1, 4,  8,  8,  8,  8, 2, 2, 1, 2),
            (1, 1, 384, 3, 1, 4, 12, 12,  0,  0, 2, 2, 1, 2),
        ]),
    ),
    "m1": MicroNetConfig(
        name="micronet_m1", stem_groups=(3, 2), hidden_units=960, dropout_rate=0.05,
        rows=_rows([
            # s  n   c  ks c1 c2  g1  g2  g3  g4 y1 y2 y3 r
            (2, 1,   8, 3, 2, 2,  0,  6,  2,  2, 2, 0, 1, 1),
            (2, 1,  16, 3, 2, 2,  0,  8,  4,  4, 2, 2, 1, 1),
            (2, 1,  16, 5, 2, 2,  0, 16,  4,  4, 2, 2, 1, 1),
            (1, 1,  32, 5, 1, 6,  4,  4,  4,  4, 2, 2, 1, 1),
            (2, 1,  64, 5, 1, 6,  8,  8,  8,  8, 2, 2, 1, 1),
            (1, 1,  96, 3, 1, 6,  8,  8,  8,  8, 2, 2, 1, 2),
            (1, 1, 576, 3, 1, 6, 12, 12,  0,  0, 2, 2, 1, 2),
        ]),
    ),
    "m2": MicroNetConfig(
        name="micronet_m2", stem_groups=(4, 2), hidden_units=1024, dropout_rate=0.1,
        rows=_rows([
            # s  n   c  ks c1 c2  g1  g2  g3  g4 y1 y2 y3 r
            (2, 1,  12, 3, 2, 2,  0,  8,  4,  4, 2, 0, 1, 1),
            (2, 1,  16, 3, 2, 2,  0, 12,  4,  4, 2, 2, 1, 1),
            (1, 1,  24, 3, 2, 2,  0, 16,  4,  4, 2, 2, 1, 1),
            (2, 1,  32, 5, 1, 6,  6,  6,  4,  4, 2, 2, 1, 1),
            (1, 1,  32, 5, 1, 6,  8,  8,  4,  4, 2, 2, 1, 2),
            (1, 1,  64, 5, 1, 6,  8,  8,  8,  8, 2, 2, 1, 2),
            (2, 1,  96, 5, 1, 6,  8,  8,  8,  8, 2, 2, 1, 2),
            (1, 1, 128, 3, 1, 6, 12, 12,  8,  8, 2, 2, 1, 2),
            (1, 1, 768, 3, 1, 6, 16, 16,  0,  0, 2, 2, 1, 2),
        ]),
    ),
    "m3": MicroNetConfig(
        name="micronet_m3", stem_groups=(4, 3), hidden_units=1024, dropout_rate=0.1,
        init_a=(1.0, 0.5), init_b=(0.0, 0.5),
        rows=_rows([
            # s  n   c  ks c1 c2  g1  g2  g3  g4 y1 y2 y3 r
            (2, 1,  16, 3, 2, 2,  0, 12,  4,  4, 0, 2, 0, 1),
            (2, 1,  24, 3, 2, 2,  0, 16,  4,  4, 0, 2, 0, 1),
            (1, 1,  24, 3, 2, 2,  0, 24,  4,  4, 0, 2, 0, 1),
            (2, 1,  32, 5, 1, 6,  6,  6,  4,  4, 0, 2, 0, 1),
            (1, 1,  32, 5, 1, 6,  8,  8,  4,  4, 0, 2, 0, 2),
            (1, 1,  64, 5, 1, 6,  8,  8,  8,  8, 0, 2, 0, 2),
            (1, 1,  80, 5, 1, 6,  8,  8,  8,  8, 0, 2, 0, 2),
            (1, 1,  80, 5, 1, 6, 10, 10,  8,  8, 0, 2, 0, 2),
            (2, 1, 120, 5, 1, 6, 10, 10, 10, 10, 0, 2, 0, 2),
            (1, 1, 120, 5, 1, 6, 12, 12, 10, 10, 0, 2, 0, 2),
            (1, 1, 144, 3, 1, 6, 12, 12, 12, 12, 0, 2, 0, 2),
            (1, 1, 864, 3, 1, 6, 12, 12,  0,  0, 0, 2, 0, 2),
        ]),
    ),
}
# fmt: on
