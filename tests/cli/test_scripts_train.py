"""scripts/train.py: flags over presets, the whole run, one line and exit status 2 for mistakes."""

import json

import keras
import pytest
from absl import flags
from picture_folders import red_and_green
from script_runner import ScriptRunner
from tiny_training import tiny_classifier

from micronet_keras.data import load_dataset
from micronet_keras.tasks import CLASSIFICATION, DETECTION, KEYPOINTS, NETWORKS, replace

RECIPES = CLASSIFICATION.recipes
SMALL = ("--image_size=32", "--batch_size=8", "--epochs=2", "--learning_rate=0.05")


@pytest.fixture(scope="module")
def train():
    runner = ScriptRunner("train")
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return red_and_green(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def tiny_m0(train, monkeypatch):
    monkeypatch.setitem(NETWORKS, "m0", tiny_classifier)


def _config(train, monkeypatch, *arguments):
    """The config that the flags give, without a run."""
    configs = []
    monkeypatch.setattr(
        train.module, "main", lambda argv: configs.append(train.module.config_from_flags())
    )
    assert train(*arguments) == 0
    return configs[0]


def test_flags_override_the_preset(train, monkeypatch):
    assert _config(train, monkeypatch) == RECIPES["quick"]
    given = _config(
        train, monkeypatch, "--preset=m3", "--epochs=7", "--ema=0.99", "--noflip", "--seed=3"
    )
    assert given == replace(RECIPES["m3"], epochs=7, ema=0.99, flip=False, seed=3)
    given = _config(train, monkeypatch, "--image_size=96x128")
    assert flags.FLAGS["image_size"].serialize() == "--image_size=96x128"
    assert given == replace(RECIPES["quick"], image_size=96, image_width=128)


def test_learning_rate_is_scaled_on_request_only(train, monkeypatch):
    plain = _config(train, monkeypatch, "--preset=m0", "--batch_size=64")
    assert (plain.training.batch_size, plain.training.learning_rate) == (64, 0.1)
    arguments = ("--preset=m0", "--batch_size=64", "--scale_learning_rate")
    scaled = _config(train, monkeypatch, *arguments)
    assert (scaled.training.batch_size, scaled.training.learning_rate) == (64, 0.025)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model=m9"], "m0|m1|m2|m3"),
        (["--preset=fast"], "quick"),
        (["--epochs=many"], "--epochs"),
        (["--image_size=16"], "image_size must be at least 32 pixels. Received: 16"),
        (["--learning_rate=-1"], "learning_rate must be a number above 0. Received: -1.0"),
        (["--scale_learning_rate", "--learning_rate=1"], "exclude each other"),
        (["--dataset=./missing"], "missing"),
        (["--dataset=no_such_dataset"], "unknown dataset 'no_such_dataset'"),
        (["extra"], "unexpected argument 'extra'"),
        (["--sigma=2"], "--task=classification has no setting --sigma"),
        (["--task=keypoints", "--mosaic=1"], "--task=keypoints has no setting --mosaic"),
        (["--task=keypoints", "--preset=m0"], "has no preset 'm0'; choose among: coco, quick"),
        (["--task=keypoints", "--sigma=0"], "sigma must be above 0"),
        (["--task=detection", "--image_size=96x100"], "are multiples of 32. Received: 96 x 100"),
        (["--image_size=96x"], "'96x' is not a whole number, or two as in 96x128"),
        (["--image_size=96x128", "--image_width=64"], "--image_width exclude each other"),
    ],
)
def test_mistakes_are_one_line(train, tmp_path, capsys, arguments, message):
    assert train(f"--out={tmp_path / 'run'}", *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_run_again_and_mistakes_with_data(train, tiny_m0, pictures, tmp_path, capsys):
    command = (f"--dataset={pictures}", f"--out={tmp_path / 'run'}", *SMALL)
    assert train(*command) == 0
    printed = capsys.readouterr().out
    assert "test_accuracy " in printed and ", train: 54 images: 27 green, 27 red\n" in printed
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["model"], config["class_names"]) == ("m0", ["green", "red"])

    assert train(*command) == 0
    assert "is finished, nothing was done" in capsys.readouterr().out

    assert train(*command, "--seed=1") == 2
    assert "seed=0 (now 1)" in capsys.readouterr().err

    fine_tune = (f"--weights={tmp_path / 'other.keras'}", f"--out={tmp_path / 'fine'}", *SMALL)
    assert train(f"--dataset={pictures}", *fine_tune) == 2
    assert "there is no file" in capsys.readouterr().err
    tiny_classifier(classes=5).save(tmp_path / "other.keras")
    assert train(f"--dataset={pictures}", *fine_tune) == 2
    assert "is for 5 classes, the dataset has 2; --skip_head" in capsys.readouterr().err
    assert not (tmp_path / "fine").exists()
    # And a good one, in another precision, which holds for this run only.
    command = (f"--dataset={pictures}", *fine_tune, "--skip_head", "--precision=mixed_float16")
    assert train(*command) == 0
    assert keras.config.dtype_policy().name == "float32"
    best = keras.saving.load_model(tmp_path / "fine" / "best.keras")
    assert best.get_layer("stem").dtype_policy.name == "mixed_float16"


def test_other_tasks_have_their_own_presets_and_settings(train, monkeypatch):
    given = _config(train, monkeypatch, "--task=keypoints", "--sigma=1.2", "--epochs=3")
    assert given == replace(KEYPOINTS.recipes["quick"], sigma=1.2, epochs=3)
    given = _config(train, monkeypatch, "--task=detection", "--mosaic=0.5")
    assert given == replace(DETECTION.recipes["quick"], mosaic=0.5)


def test_builds_the_model_of_the_flags(train, monkeypatch, pictures):
    models = []

    def main(argv):
        config = train.module.config_from_flags()
        source = load_dataset(str(pictures))
        models.append(CLASSIFICATION.build("m1", source, config))

    monkeypatch.setattr(train.module, "main", main)
    assert train("--image_size=64", "--dropout=0.25") == 0
    assert models[0].input_shape == (None, 64, 64, 3)
    assert models[0].output_shape == (None, 2)
    assert models[0].get_layer("dropout").rate == 0.25
