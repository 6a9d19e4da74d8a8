"""The forms of models that are lowered, and what is refused with all that is in the way."""

import keras
import numpy as np
import pytest
from keras import layers as K
from keras import ops
from keras_models import assert_same, build, numbers
from small_micronet import randomized

from micronet_keras.lower import lower, register_lowering
from micronet_keras.lower.graph import DepthwiseConv
from micronet_keras.lower.tensorflow import run
from micronet_keras.models import preprocess_input
from micronet_keras.quantize import check, post_training_quantize
from micronet_mcu.errors import UserError


def image(channels=3):
    return keras.Input((9, 12, channels))


def conv(filters=4, **options):
    return K.Conv2D(filters, 3, padding="same", **options)


def transfer_learning():
    base = keras.Sequential([image(), conv(), K.BatchNormalization(), K.ReLU()], name="base")
    x = inputs = image()
    x = K.RandomFlip()(x)
    x = base(x, training=False)
    x = K.GlobalAveragePooling2D()(x)
    x = K.Dropout(0.2)(x)
    return keras.Model(inputs, K.Dense(1, activation="sigmoid")(x))


def deep_sequential():
    inner = keras.Sequential([conv(activation="relu"), K.MaxPooling2D()])
    outer = keras.Sequential([keras.Sequential([inner, conv()]), K.Flatten()])
    return keras.Sequential([image(), outer, K.Dense(16, activation="relu"), K.Dense(3)])


def functional_in_sequential():
    x = inside = image()
    base = keras.Model(inside, conv()(x) + conv()(x))
    return keras.Sequential([base, K.GlobalMaxPooling2D(), K.Dense(2, "softmax")])


def base_without_top():
    base = build("pre_activated", ended=False)
    y = K.GlobalAveragePooling2D()(base.layers[-2].output)
    return keras.Model(base.inputs, K.Dense(3)(y))


def several_outputs():
    x = inputs = image()
    x = conv(activation="relu")(x)
    pooled = K.GlobalAveragePooling2D()(x)
    outputs = {"class": K.Dense(3)(pooled), "map": x, "rows": K.Reshape((9, -1))(x)}
    return keras.Model(inputs, outputs)


def functional_subclass():
    class Mine(keras.Model):
        pass

    x = image()
    return Mine(x, conv()(x))


FORMS = (
    transfer_learning,
    deep_sequential,
    functional_in_sequential,
    base_without_top,
    several_outputs,
    functional_subclass,
)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_forms_are_the_same(form):
    assert_same(randomized(form()), numbers())


@pytest.mark.parametrize("name", ["nested", "shared", "operators", "squeeze_excite"])
def test_loaded_models_are_the_same(name, tmp_path):
    build(name).save(tmp_path / "model.keras")
    assert_same(keras.saving.load_model(tmp_path / "model.keras"), numbers())


def test_mixed_precision_becomes_float32():
    keras.utils.set_random_seed(0)
    x = inputs = image()
    x = conv(dtype="mixed_bfloat16")(x)
    model = randomized(keras.Model(inputs, K.Flatten(dtype="float32")(x)))
    graph = lower(model, normalization=None)
    difference = run(graph, numbers())[0] - model.predict(numbers(), verbose=0)
    assert 0 < np.abs(difference).max() < 0.05


def pixels(channels=3):
    return np.random.default_rng(0).integers(0, 256, (4, 9, 12, channels)).astype(np.uint8)


def of_pixels(graph, images):
    node = graph.input
    return run(graph, (images.astype(np.float32) - node.pixel_zero) * node.pixel_scale)[0]


@pytest.mark.parametrize(
    "arithmetic",
    [
        K.Rescaling(1 / 255),
        lambda x: x / 255.0,
        lambda x: K.Rescaling(0.5)(x - 128.0),
        K.Rescaling(1 / 127.5, -1),
        keras.applications.mobilenet_v2.preprocess_input,
        K.Normalization(mean=(123.7, 116.3, 103.5), variance=(58.4**2, 57.1**2, 57.4**2)),
        lambda x: (x - np.float32([123.68, 116.78, 103.94]))[..., ::-1],
        preprocess_input,
    ],
    ids=["255", "divided", "128", "127.5", "mobilenet", "Normalization", "caffe", "imagenet"],
)
def test_arithmetic_on_pixels_goes_into_the_inputs_scale_and_the_first_weights(arithmetic):
    keras.utils.set_random_seed(0)
    x = inputs = image()
    x = arithmetic(x)
    # With "valid" padding all of it is exact; with "same" all but the padding.
    for padding in ("valid", "same"):
        model = randomized(keras.Model(inputs, K.Conv2D(4, 3, padding=padding)(x)))
        graph = lower(model)
        assert [type(node).__name__ for node in graph] == ["Input", "Conv"]
        assert graph.input.pixel_zero == int(graph.input.pixel_zero)
        difference = of_pixels(graph, pixels()) - model.predict(
            pixels().astype("float32"), verbose=0
        )
        assert np.abs(difference[:, 1:-1, 1:-1]).max() < 2e-4
        assert padding == "same" or np.abs(difference).max() < 2e-4


def test_arithmetic_that_no_convolution_reads_stays():
    x = inputs = image()
    x = K.Normalization(mean=(120, 110, 100), variance=(3000, 3000, 3000))(x)
    graph = lower(keras.Model(inputs, K.MaxPooling2D()(x)))
    assert [type(node) for node in graph][1] is DepthwiseConv
    expected = (pixels() - np.float32([120, 110, 100])) / np.sqrt(np.float32(3000))
    expected = expected[:, :8].reshape(4, 4, 2, 6, 2, 3).max((2, 4))
    np.testing.assert_allclose(of_pixels(graph, pixels()), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_any_number_of_channels(channels):
    x = inputs = image(channels)
    x = K.Rescaling(1 / 255)(x)
    model = randomized(keras.Model(inputs, K.Flatten()(conv()(x))))
    graph = lower(model)
    assert graph.input.pixel_scale == pytest.approx(1 / 255)
    np.testing.assert_allclose(
        of_pixels(graph, pixels(channels)), model(pixels(channels).astype("f4")), atol=1e-5
    )
    post_training_quantize(model, [pixels(channels)])
    without = keras.Model(inputs, conv()(inputs))
    assert lower(without).input.pixel_scale is None
    with pytest.raises(UserError, match="is of 3 channels, this model takes"):
        lower(without, normalization="imagenet")


def test_a_model_that_takes_0_to_1_is_not_taken_for_one_of_pixels():
    x = inputs = image()
    x = K.Normalization(mean=(0.5, 0.5, 0.4), variance=(0.05, 0.05, 0.05))(x)
    assert lower(keras.Model(inputs, conv()(x))).input.pixel_scale is None


class Own(K.Layer):
    def call(self, x):
        return 2 * x


class OwnConv(K.Conv2D):
    def call(self, x):
        return super().call(2 * x)


class SetConv(K.Conv2D):
    def __init__(self):
        super().__init__(4, 3, padding="same")


def test_all_obstacles_are_listed_at_once():
    x = inputs = image()
    x = conv(activation="gelu", name="first")(x)
    x = K.LayerNormalization(name="norm")(x)
    x = SetConv()(x)
    x = OwnConv(4, 3, name="mine")(x)
    x = Own(name="own")(x)
    inner = keras.Sequential([K.Lambda(lambda x: x * 2, lambda s: s, name="anything")], name="in")
    x = inner(x)
    x = K.Softmax(axis=1, name="rows")(x)
    x = x / ops.sum(x, axis=-1, keepdims=True)
    model = keras.Model(inputs, x)
    obstacles = check(model)
    assert [obstacle.name for obstacle in obstacles] == [
        *("first", "norm", "mine", "own", "in/anything", "rows"),
        *(operation.name for operation in model.operations[-2:]),
    ]
    assert obstacles[1].kind == "LayerNormalization"
    assert str(obstacles[1]) == (
        "'norm' (LayerNormalization): it has no int8 form; use BatchNormalization"
    )
    with pytest.raises(UserError, match="cannot be lowered: 'first' .*gelu.*; 'norm' .*; 'rows'"):
        lower(model)
    assert check(build("nested")) == ()


def registered(rule):
    """A model with a layer of one's own that is lowered by `rule`."""

    class Doubled(K.Layer):
        def call(self, x):
            return ops.relu(2 * x)

        def compute_output_shape(self, shape):
            return shape

    class Renamed(Doubled):
        pass

    register_lowering(Doubled)(rule)
    x = inputs = image()
    return randomized(keras.Model(inputs, Renamed(name="mine")(conv()(x))))


def doubled(t, name, layer, x):
    return t.call(K.ReLU(name="relu"), t.call(K.Rescaling(2.0, name="twice"), x))


def test_a_registered_layer_is_lowered_and_quantized():
    model = registered(doubled)
    assert_same(model, numbers())
    graph = lower(model, normalization=None)
    assert [type(node).__name__ for node in graph] == ["Input", "Conv"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda t, name, layer, x: "mine", "must return what `t.put` or `t.call` did"),
        (lambda t, name, layer, x: None, "must return what `t.put` or `t.call` did"),
        (
            lambda t, name, layer, x: t.call(K.GlobalAveragePooling2D(), x),
            r"gives \[\(4,\)\], and the layer itself \[\(9, 12, 4\)\]",
        ),
    ],
    ids=["no value", "nothing", "shape"],
)
def test_a_rule_that_gives_something_else_is_refused(rule, message):
    refused(registered(rule), f"'mine'.*{message}")


@pytest.mark.parametrize(
    ("layer", "message"),
    [(K.Conv2D, "lowered already. Received: Conv2D"), ("Own", "class of Keras layers")],
)
def test_what_cannot_be_registered_is_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        register_lowering(layer)


def refused(model, *messages):
    for message in messages:
        with pytest.raises(UserError, match=message):
            lower(model)
    assert "\n" not in "".join(map(str, check(model)))


def test_inputs_that_are_not_one_image_are_refused():
    x, y = image(), image()
    refused(keras.Model([x, y], conv()(x + y)), "takes one image, this model takes 2")
    refused(keras.Model(x := keras.Input((None, None, 3)), conv()(x)), "one image of a fixed size")
    refused(keras.Model(x := keras.Input((8,)), K.Dense(3)(x)), r"input_shape=\(height, width")
    refused(keras.Sequential([conv()]), "has no weights yet")
    with pytest.raises(UserError, match="only a Keras model"):
        lower("model.keras")


def test_models_of_their_own_call_are_refused():
    class Subclass(keras.Model):
        def __init__(self):
            super().__init__(name="subclass")
            self.conv = conv()

        def call(self, x):
            return self.conv(x)

    model = Subclass()
    model(numbers())
    refused(model, "'subclass' .*`call` of its own.*functional or Sequential")
    x = image()
    refused(keras.Model(x, model(x)), "'subclass'")


def test_outputs_that_cannot_be_are_refused():
    x = image()
    y = conv(name="y")(x)
    refused(keras.Model(x, [y, y]), "'y': it is the model's output twice")
    refused(keras.Model(x, [x, y]), "the output is the image")


def test_channels_first_is_refused():
    x = image()
    y = K.MaxPooling2D(data_format="channels_first", name="first")(x)
    y = K.BatchNormalization(axis=1, name="norm")(y)
    refused(keras.Model(x, y), "'first'.*channels_last", "'norm'.*last axis, and not over 1")


@pytest.mark.slow
def test_what_keras_has_quantized_is_refused():
    x = inputs = image()
    x = K.Flatten()(x)
    model = keras.Model(inputs, K.Dense(4, name="dense")(x))
    model.quantize("int8")
    refused(model, r"'dense' \(QuantizedDense|'dense' .*quantized its weights already \(int8\)")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(value):
    x = inputs = image()
    x = K.BatchNormalization(name="norm")(conv(name="conv")(x))
    model = keras.Model(inputs, K.ReLU(6.0)(x))
    model.get_layer("conv").kernel.assign(np.full((3, 3, 3, 4), value))
    model.get_layer("norm").gamma.assign([1, 1, value, 1])
    refused(model, "'conv'.*its kernel holds NaN or infinity.*'norm'.*its gamma holds NaN")
    model = keras.Model(inputs, x)
    model.get_layer("conv").kernel.assign(np.ones((3, 3, 3, 4)))
    model.get_layer("norm").gamma.assign(np.ones(4))
    model.get_layer("norm").moving_variance.assign([1, -1, 1, 1])
    refused(model, "its moving_variance is negative")


def test_layers_that_differ_from_what_can_be_are_refused():
    x = image()
    refused(keras.Model(x, K.ReLU(threshold=1.0)(x)), "threshold")
    refused(keras.Model(x, K.PReLU()(x)), "shared_axes")
    refused(keras.Model(x, K.Resizing(5, 5)(x)), "before they go in")
    refused(keras.Model(x, ops.clip(x, 1, 2)), "0 between its ends")
    refused(keras.Model(x, 1 / x), "dividing by a tensor")
    refused(keras.Model(x, x * np.ones((9, 12, 3), "f4")), "one number, or one for each channel")
    refused(
        keras.Model(x, K.GlobalAveragePooling2D()(x) + K.Flatten()(x)[:, :3]), "can only be cut"
    )
