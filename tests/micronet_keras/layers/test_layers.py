"""The elementary layers: shapes, values against plain numpy, serialisation, errors."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet_keras.layers import (
    ChannelShuffle,
    DYShiftMax,
    MAdds,
    MicroFactorizedDepthwiseConv2D,
    MicroFactorizedPointwiseConv2D,
    MicroStemConv2D,
    layer_madds,
)
from micronet_keras.layers.dy_shift_max import squeezed_channels

LAYERS = [
    ChannelShuffle(4),
    DYShiftMax(4),
    DYShiftMax(2, branches=1, reduction=4, init_a=(0.5,), init_b=(0.25,)),
    MicroFactorizedDepthwiseConv2D(5, strides=2, multipliers=(2, 3)),
    MicroFactorizedPointwiseConv2D(12, groups=4),
    MicroStemConv2D((3, 2)),
]
few = settings(max_examples=15)


def randomize(layer, seed=0):
    """Gives a built layer weights of which none is 0 or 1, variances positive."""
    r = np.random.RandomState(seed)
    layer.set_weights([r.uniform(0.1, 1.5, w.shape) * r.choice([1, -1]) for w in layer.weights])
    for variable in layer.weights:
        if variable.name == "moving_variance":
            variable.assign(np.abs(variable))


def images(*shape, seed=1):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def normalized(x, bn):
    scale = np.asarray(bn.gamma) / np.sqrt(np.asarray(bn.moving_variance) + 1e-5)
    return (x - np.asarray(bn.moving_mean)) * scale + np.asarray(bn.beta)


def convolved(x, kernel, strides, groups):
    """A convolution padded by k // 2, as one would write it down."""
    kh, kw, rows, filters = kernel.shape
    x = np.pad(x, ((0, 0), (kh // 2,) * 2, (kw // 2,) * 2, (0, 0)))
    height, width = (x.shape[1] - kh) // strides[0] + 1, (x.shape[2] - kw) // strides[1] + 1
    out = np.zeros((x.shape[0], height, width, filters))
    for f in range(filters):
        first = f // (filters // groups) * rows
        for i in range(height):
            for j in range(width):
                top, left = i * strides[0], j * strides[1]
                patch = x[:, top : top + kh, left : left + kw, first : first + rows]
                out[:, i, j, f] = (patch * kernel[..., f]).sum(axis=(1, 2, 3))
    return out


def depthwise(x, kernel, strides):
    kh, kw, channels, multiplier = kernel.shape
    return convolved(x, kernel.reshape(kh, kw, 1, channels * multiplier), strides, channels)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
class TestEveryLayer:
    def test_survives_saving(self, layer, tmp_path):
        model = keras.Sequential(
            [keras.Input((9, 7, 8)), type(layer).from_config(layer.get_config())]
        )
        randomize(model.layers[0])
        model.save(tmp_path / "model.keras")
        restored = keras.models.load_model(tmp_path / "model.keras")
        x = images(2, 9, 7, 8)
        assert type(restored.layers[0]) is type(layer)
        assert restored.layers[0].get_config() == model.layers[0].get_config()
        np.testing.assert_array_equal(model(x), restored(x))

    @few
    @given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
    def test_predicts_its_output_shape(self, layer, batch, height, width):
        layer = type(layer).from_config(layer.get_config())
        shape = (batch, height, width, 8)
        assert tuple(layer(images(*shape)).shape) == layer.compute_output_shape(shape)
        unknown = layer.compute_output_shape((None, None, None, 8))
        assert unknown[:3] == (None, None, None)

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_computes_in_mixed_precision(self, layer, policy):
        config = layer.get_config()
        exact = type(layer).from_config({**config, "dtype": "float32"})
        mixed = type(layer).from_config({**config, "dtype": policy})
        x = images(2, 8, 8, 8)
        wanted = exact(x)
        mixed.build(x.shape)
        mixed.set_weights(exact.get_weights())
        found = mixed(x)
        assert found.dtype.name == policy.removeprefix("mixed_")
        assert {w.dtype for w in mixed.weights} <= {"float32"}
        np.testing.assert_allclose(np.float32(found), wanted, atol=0.1, rtol=0.05)

    def test_trains(self, layer):
        model = keras.Sequential(
            [keras.Input((None, None, 8)), type(layer).from_config(layer.get_config())]
        )
        model.compile("sgd", "mse", jit_compile=False)
        x = images(2, 5, 7, 8)
        target = images(*model(x).shape, seed=2)
        before = [np.array(w) for w in model.trainable_weights]
        model.train_on_batch(x, target)
        for old, new in zip(before, model.trainable_weights, strict=True):
            assert np.abs(old - np.asarray(new)).max() > 0, new.path


@few
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_channel_shuffle_transposes_the_groups(groups, members, rank):
    channels = groups * members
    x = np.arange(float(2 * 3**rank * channels)).reshape((2, *[3] * rank, channels))
    order = np.arange(channels).reshape(groups, members).T.ravel()
    shuffled = np.asarray(ChannelShuffle(groups)(x))
    np.testing.assert_array_equal(shuffled, x[..., order])
    np.testing.assert_array_equal(ChannelShuffle(members)(shuffled), x)


@few
@given(
    st.sampled_from([1, 3, 5]),
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_factorized_depthwise_equals_plain_numpy(k, strides, multipliers, height, width, channels):
    layer = MicroFactorizedDepthwiseConv2D(k, strides, multipliers)
    x = images(2, height, width, channels)
    layer.build(x.shape)
    randomize(layer)
    wanted = depthwise(x, np.asarray(layer.vertical_kernel), (strides, 1))
    wanted = normalized(wanted, layer.vertical_normalization)
    wanted = depthwise(wanted, np.asarray(layer.horizontal_kernel), (1, strides))
    wanted = normalized(wanted, layer.horizontal_normalization)
    np.testing.assert_allclose(layer(x), wanted, rtol=1e-3, atol=1e-3)


@few
@given(
    st.sampled_from([1, 3, 5]),
    st.integers(1, 3),
    st.tuples(st.integers(1, 4), st.integers(1, 3)),
    st.integers(1, 8),
    st.integers(1, 8),
)
def test_stem_equals_plain_numpy(k, strides, groups, height, width):
    layer = MicroStemConv2D(groups, k, strides)
    x = images(2, height, width, 3)
    layer.build(x.shape)
    randomize(layer)
    wanted = convolved(x, np.asarray(layer.vertical_kernel), (strides, 1), 1)
    wanted = normalized(wanted, layer.vertical_normalization)
    wanted = depthwise(wanted, np.asarray(layer.horizontal_kernel), (1, strides))
    wanted = normalized(wanted, layer.horizontal_normalization)
    np.testing.assert_allclose(layer(x), wanted, rtol=1e-3, atol=1e-3)


@few
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_factorized_pointwise_equals_plain_numpy(groups, rows, columns):
    layer = MicroFactorizedPointwiseConv2D(groups * columns, groups)
    x = images(2, 3, 4, groups * rows)
    layer.build(x.shape)
    randomize(layer)
    wanted = normalized(convolved(x, np.asarray(layer.kernel), (1, 1), groups), layer.normalization)
    np.testing.assert_allclose(layer(x), wanted, rtol=1e-4, atol=1e-4)


@few
@given(
    groups=st.integers(1, 4),
    members=st.integers(1, 4),
    branches=st.sampled_from([1, 2]),
    seed=st.integers(0, 100),
)
def test_dy_shift_max_equals_plain_numpy(groups, members, branches, seed):
    init_a, init_b = (1.0, 0.5)[:branches], (0.0, -0.5)[:branches]
    layer = DYShiftMax(groups, branches, 2, init_a, init_b)
    channels = groups * members
    x = images(2, 3, 4, channels, seed=seed)
    layer.build(x.shape)
    randomize(layer, seed)
    hidden = x.mean(axis=(1, 2)) @ np.asarray(layer.squeeze.kernel) + np.asarray(layer.squeeze.bias)
    z = np.maximum(hidden, 0) @ np.asarray(layer.coefficients.kernel)
    z += np.asarray(layer.coefficients.bias)
    values = (np.clip(z / 6 + 0.5, 0, 1) - 0.5) * 4
    wanted = np.empty_like(x)
    for image, *position in np.ndindex(2, 3, 4):
        for g, i in np.ndindex(groups, members):
            c = g * members + i
            shifted = (g + 1) % groups * members + (i + 1) % members
            mixtures = [
                (values[image, 2 * k * channels + c] + init_a[k]) * x[image, *position, c]
                + (values[image, (2 * k + 1) * channels + c] + init_b[k])
                * x[image, *position, shifted]
                for k in range(branches)
            ]
            wanted[image, *position, c] = max(mixtures)
    np.testing.assert_allclose(layer(x), wanted, rtol=1e-4, atol=1e-4)


def test_dy_shift_max_begins_near_the_identity():
    x = images(2, 4, 4, 8)
    np.testing.assert_allclose(DYShiftMax(2)(x), x, atol=0.01)


@given(st.integers(1, 2000), st.integers(1, 32))
def test_squeezed_channels_keeps_the_rounding_promises(channels, reduction):
    width = squeezed_channels(channels, reduction)
    assert width >= 4
    assert width % 4 == 0
    assert width >= 0.9 * (channels // reduction)


@pytest.mark.parametrize(
    ("layer", "shape", "conv_and_linear", "dy_shift_max"),
    [
        (ChannelShuffle(4), (1, 6, 6, 8), 0, 0),
        (MicroStemConv2D((2, 2)), (1, 7, 9, 3), 4 * 9 * 3 * 3 * 2 + 4 * 5 * 3 * 4, 0),
        (MicroFactorizedPointwiseConv2D(12, 4), (1, 3, 5, 8), 15 * 2 * 12, 0),
        (DYShiftMax(4), (1, 3, 5, 16), 16 * 4 + 4 * 64, 15 * 64),
        (keras.layers.Dense(7), (1, 5), 35, 0),
        (keras.layers.Conv2D(6, 3, strides=2, groups=2), (1, 9, 9, 4), 16 * 9 * 2 * 6, 0),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), (1, 5, 5, 4), 9 * 9 * 8, 0),
        (keras.layers.ReLU(), (1, 5, 5, 4), 0, 0),
    ],
)
def test_layers_count_their_madds(layer, shape, conv_and_linear, dy_shift_max):
    layer.build(shape)
    counted = layer_madds(layer, shape, layer.compute_output_shape(shape))
    assert counted == MAdds(conv_and_linear, dy_shift_max)
    assert counted.total == conv_and_linear + dy_shift_max


def test_channels_first_is_not_counted():
    layer = keras.layers.Conv2D(4, 3, data_format="channels_first")
    layer.build((1, 3, 8, 8))
    with pytest.raises(ValueError, match="channels_last"):
        layer_madds(layer, (1, 3, 8, 8), (1, 4, 6, 6))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: ChannelShuffle(0), "`groups` must be a positive integer"),
        (lambda: ChannelShuffle(2.0), "`groups` must be a positive integer"),
        (lambda: DYShiftMax(-1), "`groups` must be a positive integer"),
        (lambda: DYShiftMax(2, branches=3), "`branches` must be one of"),
        (lambda: DYShiftMax(2, reduction=0), "`reduction` must be a positive integer"),
        (lambda: DYShiftMax(2, init_a=(1.0,)), "`init_a` must be 2 numbers"),
        (lambda: DYShiftMax(2, init_b=("0", 0)), "`init_b` must be 2 numbers"),
        (lambda: MicroStemConv2D(4), "`groups` must be two positive integers"),
        (lambda: MicroStemConv2D((2, 0)), "`groups\\[1\\]` must be a positive integer"),
        (lambda: MicroFactorizedDepthwiseConv2D(4), "`kernel_size` must be odd"),
        (lambda: MicroFactorizedDepthwiseConv2D(3, strides=0), "`strides` must be"),
        (lambda: MicroFactorizedDepthwiseConv2D(3, multipliers=(1,)), "`multipliers` must be"),
        (lambda: MicroFactorizedPointwiseConv2D(0), "`filters` must be"),
        (lambda: MicroFactorizedPointwiseConv2D(6, 4), "`filters` must be divisible"),
    ],
)
def test_wrong_arguments_are_named(make, complaint):
    with pytest.raises(ValueError, match=complaint + ".*Received: "):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "complaint"),
    [
        (ChannelShuffle(4), (1, 2, 2, 6), "divisible by groups=4"),
        (ChannelShuffle(4), (1, 2, 2, None), "known number of channels"),
        (DYShiftMax(4), (1, 2, 2, 6), "divisible by groups=4"),
        (DYShiftMax(4), (1, 8), "expects \\[batch, height, width, channels\\]"),
        (MicroFactorizedPointwiseConv2D(8, 4), (1, 2, 2, 6), "divisible by groups=4"),
        (MicroFactorizedDepthwiseConv2D(3), (1, 2, 8), "expects \\[batch, height, width"),
        (MicroStemConv2D((2, 2)), (1, 8, 8, None), "known number of channels"),
    ],
)
def test_wrong_inputs_are_named(layer, shape, complaint):
    layer = type(layer).from_config(layer.get_config())
    with pytest.raises(ValueError, match=complaint + ".*Received: "):
        layer.build(shape)
    with pytest.raises(ValueError, match=complaint):
        layer.compute_output_shape(shape)


def test_normal_initialisation_has_the_authors_variance():
    layer = MicroFactorizedPointwiseConv2D(400, groups=4)
    layer.build((1, 1, 1, 400))
    assert np.asarray(layer.kernel).std() == pytest.approx(math.sqrt(2 / 400), rel=0.02)
