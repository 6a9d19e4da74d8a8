"""Micro-Block-A, -B and -C: what they are made of, shortcuts, shapes, serialisation, errors."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet_keras.layers import (
    ChannelShuffle,
    MAdds,
    MicroBlockA,
    MicroBlockB,
    MicroBlockC,
    layer_madds,
)

GROUPS = {"hidden_groups": 4, "squeeze_groups": 2, "output_groups": 2}
EXPANSION = {"expand_filters": 16, "expand_groups": 2, "expand_hidden_groups": 4}
BLOCKS = [
    MicroBlockA(8, **GROUPS),
    MicroBlockA(6, 5, 2, multipliers=(1, 3), depthwise_branches=0, squeeze_branches=0, **GROUPS),
    MicroBlockB(8, **GROUPS, **EXPANSION),
    MicroBlockB(8, strides=2, return_squeezed=True, init_a=(1, 0.5), **GROUPS, **EXPANSION),
    MicroBlockC(8, **GROUPS, **EXPANSION),
    MicroBlockC(4, expand_branches=1, input_branches=0, final=True, **GROUPS, **EXPANSION),
]


def copy(block, **changes):
    return type(block).from_config({**block.get_config(), **changes})


def images(*shape, seed=1):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def names(path):
    return [layer.name for layer in path]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: type(block).__name__)
class TestEveryBlock:
    def test_survives_saving(self, block, tmp_path):
        inputs = keras.Input((9, 7, 8))
        model = keras.Model(inputs, copy(block)(inputs))
        model.set_weights([images(*w.shape, seed=i) ** 2 for i, w in enumerate(model.weights)])
        model.save(tmp_path / "model.keras")
        restored = keras.models.load_model(tmp_path / "model.keras")
        assert restored.layers[1].get_config() == model.layers[1].get_config()
        x = images(2, 9, 7, 8)
        for found, wanted in zip(
            keras.tree.flatten(restored(x)), keras.tree.flatten(model(x)), strict=True
        ):
            np.testing.assert_array_equal(found, wanted)

    def test_says_all_its_arguments_as_it_always_did(self, block):
        """What a saved model holds, and what its reader is given."""
        of_all = {"filters", "kernel_size", "strides", "hidden_groups", "squeeze_groups",
                  "output_groups", "depthwise_branches", "squeeze_branches", "reduction",
                  "init_a", "init_b"}  # fmt: skip
        of_expanding = {"expand_filters", "expand_groups", "expand_hidden_groups",
                        "expand_branches", "expand_reduction", "final",
                        "return_squeezed"}  # fmt: skip
        own = {
            MicroBlockA: {"multipliers"},
            MicroBlockB: {"multipliers", *of_expanding},
            MicroBlockC: {"input_branches", *of_expanding},
        }
        of_layers = {"name", "trainable", "dtype"}
        assert set(block.get_config()) == of_layers | of_all | own[type(block)]

    def test_frozen_is_frozen_through_and_through(self, block):
        frozen = copy(block, trainable=False)
        inputs = keras.Input((9, 7, 8))
        model = keras.Model(inputs, frozen(inputs))
        assert model.weights and not model.trainable_weights

    @settings(max_examples=8)
    @given(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9))
    def test_predicts_its_output_shape(self, block, batch, height, width):
        block = copy(block)
        shape = (batch, height, width, 8)
        found = keras.tree.map_structure(lambda y: tuple(y.shape), block(images(*shape)))
        assert found == block.compute_output_shape(shape)

    def test_computes_in_mixed_precision(self, block):
        mixed = copy(block, dtype="mixed_bfloat16")
        output = keras.tree.flatten(mixed(images(1, 6, 6, 8)))[0]
        assert output.dtype.name == "bfloat16"
        assert {w.dtype for w in mixed.weights} == {"float32"}
        assert np.isfinite(np.float32(output)).all()

    def test_costs_what_its_paths_cost(self, block):
        block, shape = copy(block), (1, 6, 6, 8)
        block.build(shape)
        counted, total = block.count_madds(shape), MAdds()
        for layer in block.squeeze_path + block.expand_path:
            output_shape = layer.compute_output_shape(shape)
            total += layer_madds(layer, shape, output_shape)
            shape = output_shape
        assert counted == total
        assert counted.conv_and_linear > 0


def test_block_a_runs_the_lite_row_of_the_authors():
    block = MicroBlockA(6, **GROUPS)
    block.build((1, 8, 8, 4))
    assert names(block.squeeze_path) == [
        "depthwise",
        "depthwise_activation",
        "depthwise_shuffle_0",
        "depthwise_shuffle_1",
        "squeeze",
        "squeeze_activation",
        "squeeze_shuffle_0",
        "squeeze_shuffle_1",
    ]
    assert block.expand_path == []
    assert shuffles(block.squeeze_path) == [4, 8, 2, 3]
    assert block.depthwise_activation.groups == 4
    assert block.depthwise_activation.reduction == 8
    assert block.squeeze_activation.groups == 2
    assert block.squeeze_activation.branches == 1
    assert block.squeeze_activation.reduction == 4


def test_relu6_takes_the_place_of_zero_branches():
    block = MicroBlockB(
        6, depthwise_branches=0, squeeze_branches=0, expand_branches=0, **GROUPS, **EXPANSION
    )
    block.build((1, 8, 8, 4))
    assert block.depthwise_activation.max_value == 6
    assert block.expand_activation.max_value == 6
    assert block.squeeze_activation is None
    assert shuffles(block.squeeze_path) == [4, 2]
    assert shuffles(block.expand_path) == [4]


def test_odd_filters_have_no_second_shuffle():
    block = MicroBlockA(9, hidden_groups=4, squeeze_groups=1, output_groups=3)
    block.build((1, 8, 8, 4))
    assert shuffles(block.squeeze_path) == [4, 8, 3]


@pytest.mark.parametrize(
    ("input_branches", "depthwise_branches", "expected"),
    [(0, 0, []), (2, 0, [8]), (0, 2, [8]), (1, 1, [4]), (2, 2, [4])],
)
def test_block_c_shuffles_by_the_two_activations(input_branches, depthwise_branches, expected):
    block = MicroBlockC(
        8,
        input_branches=input_branches,
        depthwise_branches=depthwise_branches,
        squeeze_branches=0,
        **GROUPS,
        **EXPANSION,
    )
    block.build((1, 8, 8, 16))
    assert shuffles(block.squeeze_path) == [*expected, 2]
    assert block.depthwise.multipliers == (1, 1)


@pytest.mark.parametrize(("hidden_groups", "expected"), [(1, 1), (2, 8), (8, 2)])
def test_block_c_divides_its_channels_into_as_many_as_hidden_groups(hidden_groups, expected):
    block = MicroBlockC(8, hidden_groups=hidden_groups, **EXPANSION)
    block.build((1, 8, 8, 16))
    assert block.depthwise_activation.groups == expected


@pytest.mark.parametrize(("filters", "expected"), [(8, 4), (16, 8)])
def test_block_c_halves_the_reduction_only_where_it_narrows(filters, expected):
    block = MicroBlockC(filters, **EXPANSION)
    block.build((1, 8, 8, 16))
    assert block.squeeze_activation.reduction == expected


def test_a_final_expansion_has_no_shuffle_and_may_have_no_activation():
    block = MicroBlockC(8, final=True, expand_branches=0, **GROUPS, **EXPANSION)
    block.build((1, 8, 8, 16))
    assert names(block.expand_path) == ["expand"]


def shuffles(path):
    return [layer.groups for layer in path if isinstance(layer, ChannelShuffle)]


def run(path, x):
    for layer in path:
        x = layer(x)
    return np.asarray(x)


@pytest.mark.parametrize(
    ("block", "adds"),
    [
        (MicroBlockA(8, **GROUPS), True),
        (MicroBlockA(6, **GROUPS), False),
        (MicroBlockA(8, strides=2, **GROUPS), False),
        (MicroBlockB(8, return_squeezed=True, **GROUPS, **EXPANSION), True),
        (MicroBlockB(8, strides=2, return_squeezed=True, **GROUPS, **EXPANSION), False),
    ],
)
def test_a_and_b_add_their_input_where_it_fits(block, adds):
    block, x = copy(block), images(1, 6, 6, 8)
    outputs = keras.tree.flatten(block(x))
    assert block.adds_shortcut is adds
    squeezed = run(block.squeeze_path, x)
    if adds:
        squeezed = squeezed + x
    np.testing.assert_allclose(outputs[-1], squeezed, atol=1e-6)
    if block.expand_path:
        np.testing.assert_allclose(outputs[0], run(block.expand_path, squeezed), atol=1e-5)


@pytest.mark.parametrize(
    ("filters", "strides", "given", "adds"),
    [(8, 1, True, True), (8, 1, False, False), (6, 1, True, False), (8, 2, True, False)],
)
def test_c_adds_the_shortcut_that_is_given_where_it_fits(filters, strides, given, adds):
    block = MicroBlockC(filters, strides=strides, return_squeezed=True, **GROUPS, **EXPANSION)
    x, shortcut = images(1, 6, 6, 16), images(1, 6, 6, 8, seed=2)
    inputs = [x, shortcut] if given else x
    expanded, squeezed = block(inputs)
    assert block.adds_shortcut is adds
    wanted = run(block.squeeze_path, x) + (shortcut if adds else 0)
    np.testing.assert_allclose(squeezed, wanted, atol=1e-6)
    np.testing.assert_allclose(expanded, run(block.expand_path, wanted), atol=1e-5)
    shapes = keras.tree.map_structure_up_to(given and [0, 0] or 0, np.shape, inputs)
    assert block.compute_output_shape(shapes) == (expanded.shape, squeezed.shape)


def test_c_with_a_shortcut_survives_saving(tmp_path):
    x, shortcut = keras.Input((6, 6, 16)), keras.Input((6, 6, 8))
    block = MicroBlockC(8, return_squeezed=True, **GROUPS, **EXPANSION)
    model = keras.Model([x, shortcut], block([x, shortcut]))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    inputs = [images(1, 6, 6, 16), images(1, 6, 6, 8)]
    for found, wanted in zip(restored(inputs), model(inputs), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: MicroBlockA(0), "`filters` must be"),
        (lambda: MicroBlockA(8, 2), "`kernel_size` must be odd"),
        (lambda: MicroBlockA(8, strides=0), "`strides` must be"),
        (lambda: MicroBlockA(8, multipliers=4), "`multipliers` must be"),
        (lambda: MicroBlockA(8, hidden_groups=0), "`hidden_groups` must be"),
        (lambda: MicroBlockA(8, squeeze_groups=0), "`squeeze_groups` must be"),
        (lambda: MicroBlockA(8, output_groups=0), "`output_groups` must be"),
        (lambda: MicroBlockA(8, depthwise_branches=3), "`depthwise_branches` must be one of"),
        (lambda: MicroBlockA(8, squeeze_branches=2), "`squeeze_branches` must be one of"),
        (lambda: MicroBlockA(8, reduction=0), "`reduction` must be"),
        (lambda: MicroBlockA(8, init_a=1.0), "`init_a` must be 2 numbers"),
        (lambda: MicroBlockA(8, init_b=(0,)), "`init_b` must be 2 numbers"),
        (lambda: MicroBlockB(8, expand_filters=0), "`expand_filters` must be"),
        (lambda: MicroBlockB(8, expand_filters=8, expand_groups=0), "`expand_groups` must be"),
        (
            lambda: MicroBlockB(8, expand_filters=8, expand_hidden_groups=0),
            "`expand_hidden_groups` must be",
        ),
        (
            lambda: MicroBlockB(8, expand_filters=8, expand_branches=2, final=True),
            "`expand_branches` must be one of \\(0, 1\\)",
        ),
        (
            lambda: MicroBlockB(8, expand_filters=8, expand_reduction=0),
            "`expand_reduction` must be",
        ),
        (
            lambda: MicroBlockC(8, expand_filters=8, input_branches=-1),
            "`input_branches` must be one of",
        ),
    ],
)
def test_wrong_arguments_are_named(make, complaint):
    with pytest.raises(ValueError, match=complaint + ".*Received: "):
        make()


@pytest.mark.parametrize(
    ("shapes", "complaint"),
    [
        ((1, 6, 8), "expects \\[batch, height, width, channels\\]"),
        ([(1, 6, 6, 16)], "takes x or \\[x, shortcut\\]"),
        ([(1, 6, 6, 16)] * 3, "takes x or \\[x, shortcut\\]"),
        ([(1, 6, 6, 16), (1, 3, 3, 8)], "shortcut .* the same height and width"),
        ((1, 6, 6, 9), "divisible by groups"),
    ],
)
def test_wrong_inputs_are_named(shapes, complaint):
    block = MicroBlockC(8, **GROUPS, **EXPANSION)
    with pytest.raises(ValueError, match=complaint + ".*Received: "):
        block.build(shapes)
