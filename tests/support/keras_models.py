"""Small Keras models with one kind of layer or operator each, for tests of lowering."""

import keras
import numpy as np
from keras import layers as K
from keras import ops
from small_micronet import randomized

from micronet_keras.layers import ChannelShuffle
from micronet_keras.lower import lower
from micronet_keras.lower.tensorflow import run
from micronet_mcu.to_tflm import Interpreter

SIZE = (9, 12)


def _conv(x, filters=6):
    return K.Conv2D(filters, 3, padding="same", strides=2)(x)


def _ended(x):
    """A head that looks at everything before it."""
    return K.Dense(4)(K.Flatten()(x))


def _squeeze_excite(x):
    gate = K.GlobalAveragePooling2D(keepdims=True)(x)
    gate = K.Conv2D(3, 1, activation="relu")(gate)
    gate = K.Conv2D(6, 1)(gate)
    return x * (K.ReLU(6.0)(gate + 3.0) * (1 / 6))


def _pre_activated(x):
    y = K.ReLU()(K.BatchNormalization()(x))
    return x + K.Conv2D(6, 3, padding="same")(y)


def _shared(x):
    conv = K.Conv2D(6, 3, padding="same", activation="relu")
    return conv(conv(x)) + conv(x)


def _nested(x):
    inside = keras.Input(x.shape[1:])
    deep = keras.Sequential([K.DepthwiseConv2D(3, padding="same"), K.ReLU()])
    base = keras.Model(inside, [deep(inside), K.Conv2D(6, 1)(inside)])
    first, second = base(x, training=False)
    return first + base(second)[0]


def _sequence(x):
    return K.Reshape((-1, 6))(x)


def _shuffled_halves(x):
    x = ChannelShuffle(2)(x)
    y = K.Concatenate()([x[..., 3:], K.Conv2D(3, 1)(x[..., :3])])
    return ChannelShuffle(2)(y)[..., 1:4]


def _prelu(x):
    layer = K.PReLU(shared_axes=[1, 2])
    y = layer(x)
    layer.set_weights([np.linspace(-0.5, 0.9, 6).reshape(1, 1, 6)])
    return y


# From a map [5, 6, 6] behind a convolution to any tensor.
CASES = {
    "add": lambda x: K.Add()([x, _identity_conv(x), x]),
    "average": lambda x: K.Average()([x, _identity_conv(x)]),
    "average_pool_same": lambda x: K.AveragePooling2D(3, 2, "same")(x),
    "average_pool_valid": lambda x: K.AveragePooling2D((2, 3))(x),
    "batch_norm_after_add": lambda x: K.BatchNormalization()(x + _identity_conv(x)),
    "batch_norm_before_same": lambda x: _identity_conv(
        K.BatchNormalization()(K.MaxPooling2D(2)(x))
    ),
    "batch_norm_before_valid": lambda x: K.Conv2D(4, 2)(
        K.BatchNormalization()(K.MaxPooling2D(2)(x))
    ),
    "causal_1d": lambda x: K.Conv1D(4, 3, dilation_rate=2, padding="causal")(_sequence(x)),
    "center_crop": lambda x: K.CenterCrop(2, 3)(x),
    "clip": lambda x: ops.clip(K.MaxPooling2D(2)(x), -0.4, 0.5),
    "concatenate_channels": lambda x: K.Concatenate()([x, K.ReLU()(_identity_conv(x)), x]),
    "concatenate_height": lambda x: K.Concatenate(axis=1)([x, _identity_conv(x)]),
    "conv_1d": lambda x: K.SeparableConv1D(5, 3, activation="relu")(
        K.Conv1D(4, 3, strides=2, padding="same")(_sequence(x))
    ),
    "conv_dilated": lambda x: K.Conv2D(4, 3, dilation_rate=(2, 1), padding="same")(x),
    "conv_even": lambda x: K.Conv2D(4, (2, 4), strides=2, padding="same", activation="tanh")(x),
    "conv_grouped": lambda x: K.Conv2D(9, 3, groups=3, padding="same")(x),
    "conv_transpose": lambda x: K.ReLU()(
        K.BatchNormalization()(K.Conv2DTranspose(4, 3, strides=2, padding="same")(x))
    ),
    "conv_transpose_valid": lambda x: K.Conv2DTranspose(4, (2, 3), strides=(2, 1))(x[..., ::-1]),
    "conv_valid": lambda x: K.Conv2D(4, (3, 2), strides=2, activation="relu6")(x),
    "crop": lambda x: K.Cropping2D(((1, 0), (2, 1)))(x),
    "dense_of_map": lambda x: K.Dense(5, activation="relu")(x),
    "depthwise_dilated": lambda x: K.DepthwiseConv2D(2, dilation_rate=2)(x),
    "depthwise_multiplied": lambda x: K.DepthwiseConv2D(3, 2, "same", depth_multiplier=2)(x),
    "flatten": lambda x: K.Dense(5, activation="relu")(K.Flatten()(x)),
    "global_average": lambda x: K.GlobalAveragePooling2D()(x),
    "global_max": lambda x: K.GlobalMaxPooling2D()(x),
    "hard_sigmoid": lambda x: K.Activation("hard_sigmoid")(x),
    "hard_swish": lambda x: K.Activation("hard_swish")(x),
    "hard_tanh": lambda x: K.Activation("hard_tanh")(x),
    "inert": lambda x: K.Identity()(K.SpatialDropout2D(0.5)(K.GaussianNoise(1.0)(x))),
    "leaky_relu": lambda x: K.LeakyReLU(0.3)(x),
    "max_pool_same": lambda x: K.MaxPooling2D(3, 2, "same")(x),
    "max_pool_valid": lambda x: K.MaxPooling2D((2, 3))(x),
    "maximum": lambda x: K.Maximum()([x, _identity_conv(x)]),
    "mean": lambda x: ops.mean(x, axis=(1, 2), keepdims=True) + x,
    "minimum": lambda x: ops.minimum(x, _identity_conv(x)),
    "multiply": lambda x: K.Multiply()([x, _identity_conv(x)]),
    "nested": _nested,
    "operators": lambda x: 3.0 - (x / 2.0) * np.linspace(0.5, 2, 6, dtype="float32"),
    "ops_pad": lambda x: K.Conv2D(4, 3)(ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)))),
    "permute": lambda x: K.Permute((3, 1, 2))(x),
    "pre_activated": _pre_activated,
    "pools_1d": lambda x: K.GlobalMaxPooling1D(keepdims=True)(
        K.Cropping1D(1)(K.ZeroPadding1D(2)(K.UpSampling1D(2)(K.AveragePooling1D(2)(_sequence(x)))))
    ),
    "prelu": _prelu,
    "relu_4": lambda x: K.ReLU(4.0)(x),
    "relu_alone": lambda x: K.ReLU()(K.AveragePooling2D(2)(x)),
    "relu6_alone": lambda x: K.ReLU(6.0)(3 * K.AveragePooling2D(2)(x)),
    "reshape": lambda x: K.Reshape((-1, 9))(x),
    "reversed": lambda x: x[:, 1:, :, ::-1],
    "resizing": lambda x: K.Resizing(2 * x.shape[1], x.shape[2])(x),
    "separable": lambda x: K.SeparableConv2D(5, 3, padding="same", activation="relu")(x),
    "shared": _shared,
    "shuffled_halves": _shuffled_halves,
    "sigmoid": lambda x: K.Activation("sigmoid")(x),
    "silu": lambda x: K.Activation("silu")(x),
    "softmax": lambda x: K.Softmax()(x),
    "split": lambda x: K.Concatenate()([K.ReLU()(y) for y in ops.split(x, [1, 4], axis=-1)][::-1]),
    "squeeze_excite": _squeeze_excite,
    "subtract": lambda x: x - _identity_conv(x),
    "tanh": lambda x: ops.tanh(x),
    "up_bilinear": lambda x: K.UpSampling2D((2, 3), interpolation="bilinear")(x),
    "up_nearest": lambda x: K.UpSampling2D((2, 3))(x),
    "zero_padding_other": lambda x: K.Conv2D(4, 3, strides=2)(K.ZeroPadding2D(1)(x)),
    "zero_padding_same": lambda x: K.Conv2D(4, 3, strides=2)(K.ZeroPadding2D(((1, 1), (0, 1)))(x)),
}


def _identity_conv(x):
    return K.Conv2D(6, 3, padding="same")(x)


def build(name: str, ended: bool = True, channels: int = 3) -> keras.Model:
    """The case with random weights that are always the same; it takes numbers about 0."""
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZE, channels))
    y = CASES[name](_conv(image))
    return randomized(keras.Model(image, _ended(y) if ended else y))


def chain(names: list[str], channels: int = 3) -> keras.Model:
    """Cases one behind the other, those left out that do not make a map large enough."""
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZE, channels))
    x = K.Conv2D(6, 3, padding="same")(image)
    for name in names:
        y = CASES[name](x)
        if len(y.shape) == 4 and min(y.shape[1:3]) >= 4 and max(y.shape[1:3]) <= 40:
            x = y if y.shape[3] == 6 else K.Conv2D(6, 1)(y)
    return randomized(keras.Model(image, [x, _ended(x)]))


def numbers(count: int = 2, channels: int = 3, seed: int = 0) -> np.ndarray:
    """What the models take: float32 [count, *SIZE, channels], about 0."""
    random = np.random.default_rng(seed)
    return random.standard_normal((count, *SIZE, channels)).astype(np.float32)


def assert_same(model: keras.Model, x: np.ndarray) -> None:
    """The lowered graph computes what the model computes."""
    graph = lower(model, normalization=None)
    expected = keras.tree.flatten(model(x, training=False))
    for ours, theirs in zip(run(graph, x), expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-4)


def on_tflm(flatbuffer: bytes, x: np.ndarray) -> np.ndarray:
    """The first output of TFLM for images of the model's own numbers, as numbers."""
    interpreter = Interpreter(flatbuffer)
    image, answer = interpreter.input, interpreter.output
    stored = np.clip(np.rint(x / image.scale[0]) + image.zero_point[0], -128, 127).astype(np.int8)
    rows = [interpreter.invoke_all(row[None])[0] for row in stored]
    return (np.concatenate(rows).astype(np.float32) - answer.zero_point[0]) * answer.scale[0]


def decibels(expected: np.ndarray, ours: np.ndarray) -> float:
    """The signal-to-noise ratio of an answer."""
    return float(10 * np.log10(np.sum(expected**2) / np.sum((ours - expected) ** 2)))
