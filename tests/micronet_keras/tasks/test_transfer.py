"""Weights of another model: all of them, all but the head, or a clear refusal."""

import keras
import numpy as np
import pytest

from micronet_keras.models import read_keras
from micronet_keras.tasks import transfer_weights
from micronet_mcu.errors import UserError


def _model(classes, hidden=4, seed=0, names=("hidden", "logits", "logits_bn")):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(hidden, name=names[0]),
            keras.layers.Dense(classes, name=names[1]),
            keras.layers.BatchNormalization(name=names[2]),
        ],
        name="small",
    )


def _equal(layer, other):
    return all(
        np.array_equal(one, two)
        for one, two in zip(layer.get_weights(), other.get_weights(), strict=True)
    )


@pytest.mark.parametrize("skip_head", [False, True])
def test_same_classes_take_all(tmp_path, skip_head):
    source, model = _model(5, seed=1), _model(5)
    source.save(tmp_path / "best.keras")
    assert transfer_weights(model, tmp_path / "best.keras", skip_head) == []
    assert _equal(model, source)


def test_other_classes_need_skip_head():
    source, model = _model(5, seed=1), _model(7)
    before = model.get_weights()
    with pytest.raises(
        UserError, match="small is for 5 classes, the dataset has 7; `skip_head=True`"
    ):
        transfer_weights(model, source)
    for have, want in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(have, want)
    assert transfer_weights(model, source, skip_head=True) == ["logits", "logits_bn"]
    assert _equal(model.get_layer("hidden"), source.get_layer("hidden"))
    np.testing.assert_array_equal(model.get_layer("logits").get_weights()[0], before[2])


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"hidden": 6}, "layer 'hidden' has shapes"),
        ({"names": ("hidden", "logits", "norm")}, "no layer 'logits_bn'; unknown layer 'norm'"),
    ],
)
def test_other_architecture_is_refused(other, named):
    model = _model(5)
    before = model.get_weights()
    with pytest.raises(UserError, match=f"small does not fit small: {named}"):
        transfer_weights(model, _model(5, seed=1, **other), skip_head=True)
    for have, want in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(have, want)


def test_files_that_are_no_model(tmp_path):
    path = tmp_path / "best.keras"
    with pytest.raises(UserError, match="there is no file .*best.keras"):
        read_keras(path)
    _model(5).save(path)
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="best.keras is not a Keras model file, or is damaged"):
            read_keras(path)
