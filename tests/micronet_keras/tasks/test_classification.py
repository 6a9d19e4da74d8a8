"""Training a small classifier on a folder of pictures, from the first step to the summary."""

import json

import keras
import numpy as np
import pytest
from picture_folders import paint_folder, red_and_green
from tiny_training import tiny_classifier

from micronet_keras import data
from micronet_keras.models import preprocess_input
from micronet_keras.tasks import CLASSIFICATION, replace
from micronet_keras.train import make_repeatable, train, with_validation
from micronet_mcu.errors import UserError

CONFIG = replace(
    CLASSIFICATION.recipes["quick"],
    image_size=32,
    batch_size=8,
    epochs=3,
    learning_rate=0.05,
    ema=0.5,
    class_weights="balanced",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return red_and_green(tmp_path_factory.mktemp("pictures"))


def _train(pictures, out, config=CONFIG, **arguments):
    make_repeatable(config.training)
    model = tiny_classifier()
    return model, train(
        CLASSIFICATION,
        model,
        data.load_dataset(str(pictures)),
        config,
        out,
        settings={"model": "tiny"},
        **arguments,
    )


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    return out, *_train(pictures, out)


def test_class_weights_balance_the_loss(tmp_path):
    paint_folder(tmp_path / "train", ["often"], 9)
    paint_folder(tmp_path / "train", ["seldom"], 3)
    source = data.load_dataset(str(tmp_path))
    examples = CLASSIFICATION.examples(source, "train", CONFIG)
    assert CLASSIFICATION.contents(examples) == (
        "12 images: 9 often, 3 seldom; with class_weights=balanced all classes weigh the same"
    )
    config = replace(CONFIG, batch_size=12)
    batches = CLASSIFICATION.batches(examples, config, training=True)
    _, labels, weights = next(iter(batches))
    np.testing.assert_allclose(weights, np.where(labels == 0, 12 / 18, 12 / 6))
    loss = CLASSIFICATION.loss(None, config)
    logits = keras.ops.cast(keras.ops.one_hot(labels, 2), "float32") * keras.ops.array([4.0, 0.0])
    halves = [loss(labels[labels == c], logits[labels == c]) for c in (0, 1)]
    np.testing.assert_allclose(loss(labels, logits, weights), np.mean(halves), rtol=1e-5)
    with pytest.raises(ValueError, match="class_weights must be one of none, balanced"):
        replace(CONFIG, class_weights="some")


@pytest.mark.slow
def test_what_was_left_out_is_said_before_a_split_is_missed(tmp_path, capsys):
    paint_folder(tmp_path / "train", ["a", "b"], 2)
    paint_folder(tmp_path / "holdout", ["a", "b"], 1)
    with pytest.raises(UserError, match="no split 'test'"):
        _train(tmp_path, tmp_path / "out")
    assert "left out: holdout/ (2 images), which is no split" in capsys.readouterr().out


def test_learns_and_tells_so(pictures, trained):
    out, model, result = trained
    assert result.trained
    summary = result.summary
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary["epochs"] == len(result.history) == 3
    accuracies = [row["val_accuracy"] for row in result.history]
    assert summary["best_val_accuracy"] == max(accuracies)
    assert summary["best_epoch"] == 1 + accuracies.index(max(accuracies))
    assert summary["last_val_accuracy"] == accuracies[-1]
    assert summary["parameters"] == model.count_params()
    assert summary["test_accuracy"] > 0.5
    assert {path.name for path in out.iterdir()} == {
        "best.keras", "last.keras", "config.json", "history.csv", "tensorboard", "curve.png",
        "predictions.png", "summary.json", ".micronet.json",
    }  # fmt: skip


def test_the_model_and_the_file_hold_the_best_epoch(pictures, trained):
    out, model, result = trained
    saved = keras.saving.load_model(out / "best.keras")
    for have, want in zip(model.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(have, want)
    source = data.load_dataset(str(pictures))
    hits = total = 0
    for images, labels in data.eval_batches(source, "test", 32, 5):
        logits = saved(preprocess_input(images.numpy()), training=False)
        hits += (np.argmax(logits, axis=1) == labels.numpy()).sum()
        total += len(labels)
    assert total == 12
    assert result.summary["test_accuracy"] == pytest.approx(hits / total)


def test_again_does_nothing(pictures, trained):
    out, _, result = trained
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    model, again = _train(pictures, out)
    assert not again.trained
    assert (again.history, again.summary) == (result.history, result.summary)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    saved = keras.saving.load_model(out / "best.keras")
    np.testing.assert_array_equal(model.get_weights()[0], saved.get_weights()[0])


def test_other_settings_are_refused(pictures, trained):
    out, _, _ = trained
    config = replace(CONFIG, learning_rate=0.01)
    with pytest.raises(UserError, match=r"learning_rate=0.05 \(now 0.01\)"):
        _train(pictures, out, config)


def test_damaged_best_is_named(pictures, trained, tmp_path):
    out, _, _ = trained
    for name in ("last.keras", "config.json"):
        (tmp_path / name).write_bytes((out / name).read_bytes())
    (tmp_path / "best.keras").write_bytes(b"")
    with pytest.raises(UserError, match="best.keras is missing or damaged"):
        _train(pictures, tmp_path)


def test_held_out_images_are_not_trained_on(pictures):
    source = data.load_dataset(str(pictures))
    split = with_validation(source, CONFIG.training)
    assert split.splits == {"train": 54, "test": 12, "validation": 6}
    records = {
        name: [record["record"].numpy() for record in split.raw(name)] for name in split.splits
    }
    assert {name: len(set(found)) for name, found in records.items()} == split.splits
    assert not set(records["train"]) & set(records["validation"])
    everything = {record["record"].numpy() for record in source.raw("train")}
    assert set(records["train"]) | set(records["validation"]) == everything
    assert records["validation"] == [r["record"].numpy() for r in split.raw("validation")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_split": "training"}, "no split 'training'; choose --train_split among: "),
        ({"test_split": "exam"}, "no split 'exam'; choose `test_split`"),
        ({"hold_out": 0}, "no split 'validation'; choose --validation_split"),
        ({"batch_size": 55}, "fewer than the 55 of one batch; lower `batch_size`"),
    ],
)
def test_data_that_do_not_fit_write_nothing(pictures, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        _train(pictures, tmp_path / "run", replace(CONFIG, **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (tiny_classifier((64, 64, 3)), r"images of shape \(32, 32, 3\). Received: \(64, 64, 3\)"),
        (tiny_classifier(classes=3), r"the 2 classes of .*Received: outputs of shapes \[\(3,\)\]"),
        (
            keras.Sequential([tiny_classifier(), keras.layers.Softmax()]),
            "logits, not probabilities. Received: ",
        ),
    ],
)
def test_models_that_do_not_fit(pictures, tmp_path, model, message):
    with pytest.raises(UserError, match=message):
        source = data.load_dataset(str(pictures))
        train(CLASSIFICATION, model, source, CONFIG, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_no_test_split(pictures, tmp_path):
    config = replace(CONFIG, test_split="", epochs=2, ema=0.0)
    _, result = _train(pictures, tmp_path, config)
    assert "test_accuracy" not in result.summary
