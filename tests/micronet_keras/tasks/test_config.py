"""The presets say what the authors' scripts say; a config out of range is refused."""

import dataclasses
import json

import pytest

from micronet_keras.tasks import CLASSIFICATION, TASKS, TrainConfig, replace, with_batch_size
from micronet_mcu.errors import UserError
from micronet_settings.training import flat, from_json

RECIPES = CLASSIFICATION.recipes


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
    training = recipe.training
    assert training.batch_size == batch_size
    assert training.learning_rate == learning_rate
    assert training.weight_decay == weight_decay
    assert training.warmup_epochs == warmup_epochs
    assert recipe.dropout == dropout
    assert (training.epochs, training.momentum, training.size) == (600, 0.9, (224, 224))
    assert (recipe.label_smoothing, training.ema, recipe.min_scale) == (0, 0, 0.08)


def test_batch_size_scales_the_learning_rate_only_on_request():
    doubled = with_batch_size(RECIPES["m0"], 512)
    assert (doubled.training.batch_size, doubled.training.learning_rate) == (512, 0.2)
    assert replace(RECIPES["m0"], batch_size=512).training.learning_rate == 0.1


def test_a_config_is_frozen_and_documents_every_field():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPES["m0"].training.epochs = 1
    for config in (TrainConfig, *(task.config for task in TASKS.values())):
        for field in dataclasses.fields(config):
            assert f"{field.name}: " in config.__doc__


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_a_config_survives_json(task):
    for recipe in task.recipes.values():
        stored = json.loads(json.dumps(dataclasses.asdict(recipe)))
        assert from_json(task.config, stored, "config.json") == recipe
        assert replace(task.config(), **flat(recipe)) == recipe
        for damaged in (None, [], {}, {**stored, "colour": 1}, {**stored, "training": 3}):
            with pytest.raises(UserError, match="config.json does not hold the settings"):
                from_json(task.config, damaged, "config.json")


def test_an_unknown_field_is_named():
    with pytest.raises(TypeError, match="colour"):
        replace(RECIPES["m0"], colour=1)


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
        replace(CLASSIFICATION.config(), **{field: value})


def test_a_warm_up_ends_before_the_epochs():
    preset = CLASSIFICATION.recipes["m3"]
    assert preset.training.warmup_epochs == 5
    assert replace(preset, epochs=3).training.warmup_epochs == 2
    assert replace(preset, epochs=1).training.warmup_epochs == 0
    assert replace(preset, epochs=50).training.warmup_epochs == 5
    with pytest.raises(ValueError, match="warmup_epochs must be 0 to below epochs"):
        replace(preset, epochs=3, warmup_epochs=3)
