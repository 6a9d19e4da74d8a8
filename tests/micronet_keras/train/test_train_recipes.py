"""The presets say what the authors' scripts say; a config out of range is refused."""

import dataclasses

import pytest

from micronet_keras.train.recipes import RECIPES, TrainConfig, with_batch_size


@pytest.mark.parametrize(
    ("name", "batch_size", "learning_rate", "weight_decay", "warmup_epochs", "dropout"),
    [
        ("m0", 256, 0.1, 3e-5, 0, 0.05),
        ("m1", 256, 0.1, 3e-5, 0, 0.05),
        ("m2", 256, 0.1, 3e-5, 0, 0.1),
        ("m3", 512, 0.2, 4e-5, 5, 0.1),
    ],
)
def test_published_recipes(name, batch_size, learning_rate, weight_decay, warmup_epochs, dropout):
    recipe = RECIPES[name]
    assert recipe.batch_size == batch_size
    assert recipe.learning_rate == learning_rate
    assert recipe.weight_decay == weight_decay
    assert recipe.warmup_epochs == warmup_epochs
    assert recipe.dropout == dropout
    assert (recipe.epochs, recipe.momentum, recipe.image_size) == (600, 0.9, 224)
    assert (recipe.label_smoothing, recipe.ema, recipe.min_scale) == (0, 0, 0.08)


def test_batch_size_scales_the_learning_rate_only_on_request():
    doubled = with_batch_size(RECIPES["m0"], 512)
    assert (doubled.batch_size, doubled.learning_rate) == (512, 0.2)
    assert dataclasses.replace(RECIPES["m0"], batch_size=512).learning_rate == 0.1


def test_a_config_is_frozen_and_documents_every_field():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPES["m0"].epochs = 1
    for field in dataclasses.fields(TrainConfig):
        assert f"{field.name}: " in TrainConfig.__doc__


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_size", 31),
        ("batch_size", 0),
        ("epochs", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("warmup_epochs", 600),
        ("momentum", 1.0),
        ("weight_decay", -1e-5),
        ("label_smoothing", 1.0),
        ("dropout", -0.1),
        ("ema", 1.0),
        ("min_scale", 0.0),
        ("precision", "float8"),
        ("seed", -1),
    ],
)
def test_out_of_range(field, value):
    with pytest.raises(ValueError, match=rf"{field} must be .*Received: {value!r}"):
        TrainConfig(**{field: value})
