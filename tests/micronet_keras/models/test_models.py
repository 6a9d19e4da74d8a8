"""Builders, configs, weights, feature taps, MAdds, images in and class names out."""

import dataclasses
import inspect
import pickle
import pydoc
import shutil

import keras
import numpy as np
import pytest
import small_micronet
import tensorflow as tf
from small_micronet import CONFIG as SMALL

from micronet_keras.layers import MAdds
from micronet_keras.models import (
    CONFIGS,
    MicroNet,
    MicroNetM0,
    MicroNetM1,
    MicroNetM2,
    MicroNetM3,
    count_madds,
    decode_predictions,
    imagenet_path,
    load_weights_file,
    preprocess_input,
    pyramid_outputs,
)
from micronet_mcu.errors import UserError

BUILDERS = {"m0": MicroNetM0, "m1": MicroNetM1, "m2": MicroNetM2, "m3": MicroNetM3}
# Trainable parameters, MAdds of convolutions and dense layers, and with DY-ShiftMax: 224 x 224.
SIZES = {
    "m0": (1_019_590, 3_448_880, 4_054_128),
    "m1": (1_777_587, 5_314_080, 6_120_032),
    "m2": (2_393_876, 10_338_128, 12_743_440),
    "m3": (2_622_960, 18_236_000, 20_807_520),
}


def noise(*shape, seed=3):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def parameters(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def size_and_model(request):
    return request.param, BUILDERS[request.param]()


class TestEveryModel:
    def test_has_the_published_size(self, size_and_model):
        size, model = size_and_model
        count, conv_and_linear, total = SIZES[size]
        madds = count_madds(model)
        assert parameters(model) == count
        assert (madds.conv_and_linear, madds.total) == (conv_and_linear, total)
        for number in (count, total):
            assert f"{number:,}" in MicroNet.__doc__

    def test_is_flat_functional_and_takes_the_upright_image(self, size_and_model):
        size, model = size_and_model
        assert model.name == f"micronet_{size}"
        assert model.input_shape == (None, 224, 224, 3)
        assert model.output_shape == (None, 1000)
        assert not any(isinstance(layer, keras.Model) for layer in model.layers)

    def test_has_features_at_four_strides(self, size_and_model):
        size, model = size_and_model
        rows = CONFIGS[size].rows
        levels = pyramid_outputs(model)
        assert list(levels) == ["P2", "P3", "P4", "P5"]
        assert [level.shape[1] for level in levels.values()] == [56, 28, 14, 7]
        assert levels["P5"].shape[-1] == rows[-2].filters

    @pytest.mark.slow
    def test_survives_saving_bit_for_bit(self, size_and_model, tmp_path):
        _, model = size_and_model
        model.save(tmp_path / "model.keras")
        restored = keras.models.load_model(tmp_path / "model.keras")
        x = noise(1, 224, 224, 3)
        np.testing.assert_array_equal(model(x), restored(x))
        for old, new in zip(model.weights, restored.weights, strict=True):
            np.testing.assert_array_equal(old, new)

    def test_signature_is_that_of_the_general_builder(self, size_and_model):
        size, _ = size_and_model
        _, *general = inspect.signature(MicroNet).parameters.values()
        assert list(inspect.signature(BUILDERS[size]).parameters.values()) == general
        shown = pydoc.render_doc(BUILDERS[size], renderer=pydoc.plaintext)
        assert f"MicroNet{size.upper()}(input_shape: " in shown
        assert all(f" {argument.name}: " in shown.partition("Args:")[2] for argument in general)
        assert pickle.loads(pickle.dumps(BUILDERS[size])) is BUILDERS[size]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "sizes"),
    [(CONFIGS["m0"], [(33, 47)]), (SMALL, [(32, 32), (63, 32), (45, 81)])],
    ids=["m0", "small"],
)
def test_any_size_gives_the_same_answer_with_a_fixed_and_an_open_input(config, sizes):
    anysize = MicroNet(config, (None, None, 3), classes=5)
    # A graph, for only there height and width are unknown.
    graph = tf.function(anysize, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for height_width in sizes:
        fixed = MicroNet(config, (*height_width, 3), classes=5)
        fixed.set_weights(anysize.get_weights())
        x = noise(2, *height_width, 3)
        np.testing.assert_allclose(graph(x), fixed(x), atol=1e-6)
        for name, level in pyramid_outputs(fixed).items():
            stride = 2 ** int(name[1:])
            assert level.shape[1:3] == tuple(-(-side // stride) for side in height_width)


@pytest.mark.parametrize(
    ("pooling", "shape"), [(None, (None, 4, 4, 48)), ("avg", (None, 48)), ("max", (None, 48))]
)
def test_without_top(pooling, shape):
    model = MicroNet(SMALL, (32, 32, 3), include_top=False, pooling=pooling)
    assert model.output_shape == shape
    output = np.asarray(model(noise(2, 32, 32, 3)))
    assert output.min() >= 0
    assert output.max() <= 6


def test_classifier_activation_and_dropout():
    model = MicroNet(SMALL, (32, 32, 3), classes=3, classifier_activation="softmax", name="mine")
    assert model.name == "mine"
    assert model.get_layer("dropout").rate == SMALL.dropout_rate
    np.testing.assert_allclose(np.sum(model(noise(2, 32, 32, 3)), axis=-1), 1, atol=1e-5)
    model = MicroNet(SMALL, (32, 32, 3), dropout_rate=0.5)
    assert model.get_layer("dropout").rate == 0.5
    assert model.layers[-1].name == "logits"


def test_input_tensor_keeps_what_is_before_it():
    pixels = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    model = MicroNet(SMALL, input_tensor=scaled, classes=4)
    plain = MicroNet(SMALL, (32, 32, 3), classes=4)
    plain.set_weights(model.get_weights())
    x = noise(1, 32, 32, 3) * 100
    np.testing.assert_allclose(model(x), plain(x / 255), atol=1e-5)


def test_repeated_rows_add_their_shortcut():
    ordinary = dataclasses.replace(SMALL.rows[2], repeats=2, strides=2)
    lite = dataclasses.replace(SMALL.rows[0], repeats=2)
    rows = (lite, SMALL.rows[1], ordinary, SMALL.rows[3])
    model = MicroNet(dataclasses.replace(SMALL, rows=rows), (32, 32, 3), classes=4)
    blocks = [layer for layer in model.layers if layer.name.startswith("block")]
    assert [type(b).__name__[-1] for b in blocks] == ["A", "A", "B", "C", "C"]
    assert [b.strides for b in blocks] == [2, 1, 2, 2, 1]
    assert [b.adds_shortcut for b in blocks] == [False, True, False, False, True]


@pytest.mark.slow
def test_trains_in_mixed_precision_and_reloads(tmp_path):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = MicroNet(SMALL, (32, 32, 3), classes=4)
    finally:
        keras.config.set_dtype_policy(policy)
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(noise(4, 32, 32, 3), np.arange(4)))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert restored.compute_dtype == "bfloat16" or restored.layers[1].compute_dtype == "bfloat16"
    x = noise(1, 32, 32, 3)
    np.testing.assert_array_equal(np.float32(model(x)), np.float32(restored(x)))


@pytest.mark.slow
def test_gradients_reach_every_weight():
    model = small_micronet.small_micronet()
    before = [np.array(w) for w in model.trainable_weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=True)
    model.train_on_batch(noise(4, 32, 32, 3), np.arange(4))
    for old, new in zip(before, model.trainable_weights, strict=True):
        assert np.abs(old - np.asarray(new)).max() > 0, new.path


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"input_shape": (31, 32, 3)}, "sides of at least 32"),
        ({"input_shape": (32, 32)}, "Images must be"),
        ({"input_shape": (32, 32, None)}, "must be a positive integer"),
        ({"classes": 0}, "`classes` must be"),
        ({"pooling": "sum"}, "`pooling` must be"),
        ({"dropout_rate": 1.0}, "`dropout_rate` must be"),
        ({"input_tensor": np.zeros((1, 32, 32, 3))}, "`input_tensor` must be a Keras tensor"),
        ({"input_tensor": keras.Input((16, 16, 3))}, "sides of at least 32"),
        ({"input_tensor": keras.Input((64, 64, 3)), "input_shape": (32, 32, 3)}, "do not agree"),
        ({"weights": "imagenet"}, "configs of MicroNetM0 ... MicroNetM3"),
    ],
)
def test_wrong_arguments_are_named(arguments, complaint):
    with pytest.raises(ValueError, match=complaint + ".*Received: "):
        MicroNet(SMALL, **arguments)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"strides": 0}, "`strides` must be"),
        ({"repeats": 0}, "`repeats` must be"),
        ({"filters": 2.5}, "`filters` must be"),
        ({"kernel_size": 4}, "`kernel_size` must be odd"),
        ({"multipliers": (1, 2, 3)}, "`multipliers` must be"),
        ({"expand_groups": -1}, "`expand_groups` must be"),
        ({"hidden_groups": 0}, "`hidden_groups` must be"),
        ({"expand_branches": 3}, "`expand_branches` must be"),
        ({"depthwise_branches": -1}, "`depthwise_branches` must be"),
        ({"squeeze_branches": 2}, "`squeeze_branches` must be"),
        ({"reduction": 0}, "`reduction` must be"),
    ],
)
def test_wrong_rows_are_named(changes, complaint):
    with pytest.raises(ValueError, match=complaint + ".*Received: "):
        dataclasses.replace(SMALL.rows[0], **changes)


LITE, LITE2, ORDINARY, FINAL = SMALL.rows


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"rows": (ORDINARY, FINAL)}, "must begin with a row that has expand_groups=0"),
        ({"rows": (LITE,)}, "must begin"),
        ({"rows": (LITE, LITE2, ORDINARY)}, "must end with a row that has output_groups=0"),
        ({"rows": (LITE, FINAL, FINAL)}, "must end"),
        ({"rows": (LITE, dataclasses.replace(FINAL, repeats=2))}, "repeats=1"),
        ({"rows": (LITE, ORDINARY, LITE2, FINAL)}, "must come before all others"),
        ({"rows": (LITE, dataclasses.replace(FINAL, expand_groups=0))}, "needs an expansion"),
        ({"rows": (dataclasses.replace(LITE, squeeze_groups=0), LITE2, FINAL)}, "squeeze_groups"),
        ({"rows": (LITE, FINAL)}, "`filters` of the last row must be .* 32"),
        ({"stem_groups": (2,)}, "`stem_groups` must be"),
        ({"hidden_units": 0}, "`hidden_units` must be"),
        ({"dropout_rate": -0.1}, "`dropout_rate` must be"),
        ({"init_a": (1.0,)}, "`init_a` must be"),
        ({"init_b": None}, "`init_b` must be"),
        ({"reduction": 0}, "`reduction` must be"),
    ],
)
def test_wrong_configs_are_named(changes, complaint):
    with pytest.raises(ValueError, match=complaint + ".*Received: "):
        dataclasses.replace(SMALL, **changes)


class TestWeights:
    @pytest.fixture
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
        return tmp_path / "home" / "models"

    @pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
    def test_come_from_a_file(self, suffix, tmp_path):
        model = small_micronet.small_micronet()
        path = tmp_path / f"small{suffix}"
        model.save(path) if suffix == ".keras" else model.save_weights(path)
        again = MicroNet(SMALL, (32, 32, 3), classes=small_micronet.CLASSES, weights=path)
        x = noise(1, 32, 32, 3)
        np.testing.assert_array_equal(model(x), again(x))

    def test_a_saved_model_with_top_fits_one_without(self, tmp_path):
        model = small_micronet.small_micronet()
        model.save(tmp_path / "small.keras")
        features = MicroNet(SMALL, (48, 48, 3), include_top=False, weights=tmp_path / "small.keras")
        np.testing.assert_array_equal(
            features.get_layer("block3").get_weights()[0],
            model.get_layer("block3").get_weights()[0],
        )

    @pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
    def test_of_other_classes_are_refused(self, suffix, tmp_path):
        model = small_micronet.small_micronet()
        path = tmp_path / f"small{suffix}"
        model.save(path) if suffix == ".keras" else model.save_weights(path)
        with pytest.raises(UserError, match=rf"{path.name} does not fit small with output .*7"):
            MicroNet(SMALL, (32, 32, 3), classes=7, weights=path)

    @pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
    @pytest.mark.parametrize("kept", [0, 100, 0.5])
    def test_of_a_damaged_file_are_refused(self, suffix, kept, tmp_path):
        model = small_micronet.small_micronet()
        path = tmp_path / f"small{suffix}"
        model.save(path) if suffix == ".keras" else model.save_weights(path)
        content = path.read_bytes()
        path.write_bytes(content[: kept if kept != 0.5 else len(content) // 2])
        with pytest.raises(UserError, match=f"{path.name} .*damaged") as caught:
            load_weights_file(model, path)
        assert "\n" not in str(caught.value)

    def test_of_no_file_or_another_kind_are_refused(self, tmp_path):
        model = small_micronet.small_micronet()
        with pytest.raises(UserError, match="gone.keras is not a file"):
            load_weights_file(model, tmp_path / "gone.keras")
        (tmp_path / "weights.txt").touch()
        with pytest.raises(UserError, match="weights.txt is not a .weights.h5 or .keras file"):
            load_weights_file(model, tmp_path / "weights.txt")

    def test_of_imagenet_are_asked_for_where_they_are_missing(self, cache):
        with pytest.raises(UserError) as caught:
            MicroNetM2(weights="imagenet")
        message = str(caught.value)
        assert "\n" not in message
        assert str(cache / "micronet_m2_imagenet.weights.h5") in message
        assert "/micronet-m2.pth" in message
        assert "import-checkpoint --model=m2 --checkpoint=micronet-m2.pth" in message

    @pytest.mark.slow
    def test_of_imagenet_are_found_in_the_cache(self, cache):
        model = MicroNetM0((64, 64, 3))
        cache.mkdir(parents=True)
        assert imagenet_path("m0").parent == cache
        model.save_weights(imagenet_path("m0"))
        x = noise(1, 64, 64, 3)
        np.testing.assert_array_equal(MicroNetM0((64, 64, 3), weights="imagenet")(x), model(x))
        features = MicroNetM0((64, 64, 3), include_top=False, pooling="avg", weights="imagenet")
        wanted = keras.Model(model.input, model.get_layer("avg_pool").output)(x)
        np.testing.assert_array_equal(features(x), wanted)
        assert not [layer.name for layer in features.layers if "dense" in layer.name]
        shutil.copy(imagenet_path("m0"), imagenet_path("m1"))
        with pytest.raises(UserError, match="micronet_m1_imagenet.weights.h5 does not fit"):
            MicroNetM1(weights="imagenet")

    def test_of_imagenet_need_1000_classes_and_colour(self):
        with pytest.raises(ValueError, match="needs `classes=1000`. Received: classes=10"):
            MicroNetM0(weights="imagenet", classes=10)
        with pytest.raises(ValueError, match="needs RGB images. Received: 1 channels"):
            MicroNetM0((64, 64, 1), weights="imagenet")


def test_pyramid_of_another_model_is_refused():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()], name="flat")
    with pytest.raises(ValueError, match="MicroNet model is expected. Received: model=flat"):
        pyramid_outputs(model)


class TestMAdds:
    def test_of_keras_applications(self):
        model = keras.applications.MobileNetV2(alpha=0.35, weights=None)
        # The 59M of the MobileNetV2 authors' table.
        assert count_madds(model) == MAdds(59_285_808, 0)

    def test_of_another_image_size(self):
        model = MicroNetM0((None, None, 3), classes=10)
        # Of the 224-pixel model's, less the classes.
        dense = SIZES["m0"][1] - 640 * 990
        assert count_madds(model, (224, 224, 3)).conv_and_linear == dense
        assert count_madds(model, (96, 96, 3)) == count_madds(MicroNetM0((96, 96, 3), classes=10))

    def test_of_shared_and_nested_layers_and_sequential_models(self):
        shared = keras.layers.Dense(8)
        x = keras.Input((8,))
        inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.ReLU()])
        model = keras.Model(x, inner(shared(shared(x))))
        assert count_madds(inner) == MAdds(32, 0)
        assert count_madds(model) == MAdds(64 + 64 + 32, 0)

    def test_leave_the_model_as_it_was(self):
        model = small_micronet.small_micronet()
        before = model.to_json()
        count_madds(model, (64, 64, 3))
        assert model.to_json() == before
        assert model.get_layer("stem").output.shape == (None, 16, 16, 4)

    def test_need_a_size(self):
        model = MicroNet(SMALL, (None, None, 3), classes=2)
        with pytest.raises(ValueError, match="`input_shape` must be given .*Received: "):
            count_madds(model)


class TestImages:
    def test_are_normalised_as_the_authors_do(self):
        pixels = np.random.RandomState(0).randint(0, 256, (2, 5, 4, 3)).astype("uint8")
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        wanted = (pixels / 255 - mean) / std
        for given in (pixels, keras.ops.convert_to_tensor(pixels)):
            found = preprocess_input(given)
            assert keras.backend.standardize_dtype(found.dtype) == "float32"
            np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert isinstance(preprocess_input(pixels), np.ndarray)
        assert preprocess_input(pixels.astype("float64")).dtype == "float64"
        assert pixels.dtype == "uint8"

    def test_need_three_channels(self):
        for wrong in (np.zeros((4, 4, 1)), 3.0):
            with pytest.raises(ValueError, match="3 channels on the last axis. Received: "):
                preprocess_input(wrong)


class TestPredictions:
    def test_are_named_best_first(self):
        preds = np.array([[0.1, 0.7, 0.2], [3.0, -1.0, 3.0]])
        found = decode_predictions(preds, top=2, class_names=["ring", "star", "box"])
        assert found == [
            [("1", "star", 0.7), ("2", "box", 0.2)],
            [("0", "ring", 3.0), ("2", "box", 3.0)],
        ]
        everything = decode_predictions(preds, class_names=["ring", "star", "box"])
        assert [len(image) for image in everything] == [3, 3]

    def test_of_imagenet_are_named_by_keras(self, monkeypatch):
        utils = keras.applications.imagenet_utils
        monkeypatch.setattr(
            utils, "decode_predictions", lambda p, top: [[("n0", "tench", p[0, 0])]] * len(p)
        )
        preds = np.full((2, 1000), 0.5, "float32")
        assert decode_predictions(preds) == [[("n0", "tench", 0.5)]] * 2

    def test_of_imagenet_without_the_names_say_what_to_do(self, monkeypatch):
        def unreachable(preds, top):
            raise Exception("URL fetch failure")

        monkeypatch.setattr(keras.applications.imagenet_utils, "decode_predictions", unreachable)
        advice = "imagenet_class_index.json .* or pass class_names"
        with pytest.raises(UserError, match=advice):
            decode_predictions(np.zeros((1, 1000)))

    @pytest.mark.parametrize("shape", [(3,), (1, 4), (1, 3, 1)])
    def test_need_one_score_per_name(self, shape):
        with pytest.raises(ValueError, match=r"must be \[batch, 3\]. Received: "):
            decode_predictions(np.zeros(shape), class_names=["a", "b", "c"])

    def test_need_a_positive_top(self):
        with pytest.raises(ValueError, match="`top` must be .*Received: "):
            decode_predictions(np.zeros((1, 1000)), top=0)
